"""The values in an .npz file that a model is fed with."""

from __future__ import annotations

import math
import zipfile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from edgekd.devices.agent import fitting, system

    Header = tuple[Sequence[int], np.dtype[Any]]
else:  # on a device this folder is all there is
    import fitting
    import system


def file_feeds(inputs: Sequence[Mapping[str, Any]], path: str) -> dict[str, Any]:
    """The values in an .npz file, one array for each input by its name. None is read before all are known to fit.

    Raises:
        fitting.WrongInputsError: it can't be read, an input is missing or of another kind, or a shape doesn't fit.
    """
    import numpy as np

    wanted = {i["name"]: i for i in inputs}
    try:
        _require_fitting(wanted, _headers(path))
        with np.load(path, allow_pickle=False) as file:  # a pickle could run any code
            stored = {name: file[name] for name in file.files}
    except fitting.WrongInputsError as e:
        raise fitting.WrongInputsError(f"{path}: {e}", e.hint) from e
    except Exception as e:  # zip, numpy and file errors, with no base class of their own
        raise fitting.WrongInputsError(f"{path}: can't be read as .npz: {e}", fitting.saving(inputs)) from e
    types = {name: "object" if i["dtype"] == "string" else i["dtype"] for name, i in wanted.items()}
    return {name: array.astype(types[name]) for name, array in stored.items()}


def _headers(path: str) -> dict[str, Header]:
    """Shape and type of each array, from the first bytes of its member: a small file may hold many gigabytes."""
    from numpy.lib import format as npy

    found: dict[str, Header] = {}
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                old = npy.read_magic(file) == (1, 0)
                shape, _, dtype = (npy.read_array_header_1_0 if old else npy.read_array_header_2_0)(file)
            found[member[: -len(".npy")] if member.endswith(".npy") else member] = (shape, dtype)
    return found


def _require_fitting(wanted: Mapping[str, Mapping[str, Any]], headers: Mapping[str, Header]) -> None:
    """Raises where the arrays aren't what the model takes, or more than the memory."""
    if set(headers) != set(wanted):
        has = ", ".join(repr(name) for name in headers) or "nothing"
        takes = fitting.told(wanted.values())
        raise fitting.WrongInputsError(f"it has {has}, but the model takes {takes}", fitting.saving([*wanted.values()]))
    for name, (shape, stored) in headers.items():
        dtype, sizes = wanted[name]["dtype"], wanted[name]["shape"]
        is_a = f"shape {fitting.times(shape)}" if not fitting.fits(sizes, shape) else f"type {stored}"
        # as numpy saves by default: float64 for float32, int64 for int32
        if not fitting.fits(sizes, shape) or stored.kind not in _kinds(dtype):
            takes = fitting.told([wanted[name]])
            hint = fitting.saving([wanted[name]])
            raise fitting.WrongInputsError(f"input {name!r} is of {is_a}, but the model takes {takes}", hint)
    fitting.require_work({name: shape for name, (shape, _) in headers.items()})
    _require_room(headers)


def _require_room(headers: Mapping[str, Header]) -> None:
    needed = sum(math.prod(shape) * dtype.itemsize for shape, dtype in headers.values())
    room = system.available_bytes()
    if room is not None and needed > room:
        message = f"its arrays take {needed / 1e9:.1f} GB, and {room / 1e9:.1f} GB of memory are free"
        raise fitting.WrongInputsError(message, "Give fewer values, such as a smaller batch.")


def _kinds(dtype: str) -> str:
    """The numpy kinds of the array that such an input takes."""
    if dtype in ("bool", "string"):
        return "b" if dtype == "bool" else "US"
    return "u" if dtype.startswith("uint") else "i" if dtype.startswith("int") else "f"
