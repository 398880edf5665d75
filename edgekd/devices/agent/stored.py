"""Input values for a model from an .npz file."""

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
    """The values in an .npz file, one array per input name. All headers are checked before any array is read.

    Raises:
        fitting.WrongInputsError: the file can't be read, an input is missing, or a type or shape doesn't match.
    """
    import numpy as np

    wanted = {i["name"]: i for i in inputs}
    try:
        _require_fitting(wanted, _headers(path))
        with np.load(path, allow_pickle=False) as file:  # a pickle could run any code
            stored = {name: file[name] for name in file.files}
    except fitting.WrongInputsError as e:
        raise fitting.WrongInputsError(f"{path}: {e}", e.hint) from e
    except Exception as e:  # zip, numpy and file errors have no common base class
        raise fitting.WrongInputsError(f"{path}: can't be read as .npz: {e}", fitting.saving(inputs)) from e
    types = {name: "object" if i["dtype"] == "string" else i["dtype"] for name, i in wanted.items()}
    return {name: array.astype(types[name]) for name, array in stored.items()}


def _headers(path: str) -> dict[str, Header]:
    """Shape and type of each array, from its header: a small compressed file can expand to many gigabytes."""
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
    """Raises if the arrays don't match the model's inputs, or exceed the free memory."""
    if set(headers) != set(wanted):
        has = ", ".join(repr(name) for name in headers) or "nothing"
        takes, hint = fitting.listed(wanted.values()), fitting.saving([*wanted.values()])
        raise fitting.WrongInputsError(f"the file has {has}, but the model's inputs are {takes}", hint)
    for name, (shape, stored) in headers.items():
        dtype, sizes = wanted[name]["dtype"], wanted[name]["shape"]
        is_a = f"shape {fitting.times(shape)}" if not fitting.fits(sizes, shape) else f"type {stored}"
        # wider types are accepted: numpy saves float64 and int64 by default
        if not fitting.fits(sizes, shape) or stored.kind not in _kinds(dtype):
            takes = fitting.listed([wanted[name]])
            hint = fitting.saving([wanted[name]])
            raise fitting.WrongInputsError(f"input {name!r} has {is_a}, but the model's input is {takes}", hint)
    fitting.require_work({name: shape for name, (shape, _) in headers.items()})
    _require_room(headers)


def _require_room(headers: Mapping[str, Header]) -> None:
    needed = sum(math.prod(shape) * dtype.itemsize for shape, dtype in headers.values())
    room = system.available_bytes()
    if room is not None and needed > room:
        message = f"its arrays need {needed / 1e9:.1f} GB of memory, but only {room / 1e9:.1f} GB are free"
        raise fitting.WrongInputsError(message, "Save fewer values, for example a smaller batch.")


def _kinds(dtype: str) -> str:
    """The numpy kinds that an input of this type accepts."""
    if dtype in ("bool", "string"):
        return "b" if dtype == "bool" else "US"
    return "u" if dtype.startswith("uint") else "i" if dtype.startswith("int") else "f"
