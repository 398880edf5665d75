"""What a model is fed while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


def random_feeds(
    inputs: Sequence[Mapping[str, Any]], *, batch: int, seed: int, shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Any]:
    """Seeded random values for a runtime's `Session.inputs()`: standard normal where they are floating-point,
    0 to 255 where they are uint8, as pixels are, else 0 or 1, which are good indices of any table.

    Args:
        inputs: what the model takes.
        batch: the size of a first axis that is open.
        seed: of the values.
        shapes: the whole shapes of inputs with open axes, by name; one under "" is for the only input.

    Raises:
        ValueError: an axis has no size, a given shape doesn't fit, or the values aren't numbers.
    """
    import numpy as np  # here: a missing runtime, which would bring it, is told in plain words

    given = dict(shapes or {})
    names = [i["name"] for i in inputs]
    if "" in given and len(names) == 1:
        given[names[0]] = given.pop("")
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ValueError(f"has no input {unknown[0]!r}; its inputs are {', '.join(names) or 'none'}")
    random = np.random.default_rng(seed)
    return {i["name"]: _values(i["name"], _shape(i, batch, given.get(i["name"])), i["dtype"], random) for i in inputs}


def file_feeds(inputs: Sequence[Mapping[str, Any]], path: str) -> dict[str, Any]:
    """The values in an .npz file, one array for each input by its name.

    Raises:
        ValueError: it can't be read, an input is missing or of another kind, or a shape doesn't fit.
    """
    import numpy as np

    try:
        with np.load(path, allow_pickle=False) as file:  # a pickle could run any code
            stored = {name: file[name] for name in file.files}
    except Exception as e:  # zip, numpy and file errors, with no base class of their own
        raise ValueError(f"{path}: can't be read as .npz: {e}") from e
    wanted = {i["name"]: i for i in inputs}
    if set(stored) != set(wanted):
        raise ValueError(f"{path} has {sorted(stored)}, but the model takes {sorted(wanted)}")
    return {name: _fitting(wanted[name], array) for name, array in stored.items()}


def _fitting(wanted: Mapping[str, Any], array: Any) -> Any:
    name, dtype = wanted["name"], wanted["dtype"]
    sizes = list(wanted["shape"])
    if len(sizes) != array.ndim or any(isinstance(s, int) and s != n for s, n in zip(sizes, array.shape)):
        raise ValueError(f"input {name!r} has shape {_times(array.shape)}, but the model takes {_times(sizes)}")
    if dtype == "string" and array.dtype.kind in "US":
        return array.astype(object)
    # as numpy saves by default: float64 for float32, int64 for int32
    if dtype == "string" or array.dtype.kind != _kind(dtype):
        raise ValueError(f"input {name!r} is {array.dtype}, but the model takes {dtype}")
    return array.astype(dtype)


def _kind(dtype: str) -> str:
    """The numpy kind of the array that such an input takes."""
    if dtype == "bool":
        return "b"
    return "u" if dtype.startswith("uint") else "i" if dtype.startswith("int") else "f"


def _shape(wanted: Mapping[str, Any], batch: int, given: Sequence[int] | None) -> list[int]:
    name, shape = wanted["name"], list(wanted["shape"])
    if given is not None:
        if len(given) != len(shape) or any(isinstance(s, int) and s != n for s, n in zip(shape, given)):
            raise ValueError(f"input {name!r} takes {_times(shape)}, which {_times(given)} doesn't fit")
        return list(given)
    if shape and not isinstance(shape[0], int):
        shape[0] = batch
    for axis, size in enumerate(shape):
        if not isinstance(size, int):
            label = f" {size!r}" if size else ""
            example = _times([s if isinstance(s, int) else 224 for s in shape])
            raise ValueError(
                f"axis {axis}{label} of input {name!r} has no fixed size: give it, such as --shape {name}={example}"
            )
    return shape


def _times(shape: Sequence[Any]) -> str:
    return "x".join(str(size) if size is not None else "?" for size in shape) or "a single value"


def _values(name: str, shape: list[int], dtype: str, random: np.random.Generator) -> Any:
    if dtype.startswith("float"):
        return random.standard_normal(shape).astype(dtype)
    if dtype == "uint8":
        return random.integers(0, 256, shape).astype(dtype)
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return random.integers(0, 2, shape).astype(dtype)
    raise ValueError(f"input {name!r} takes {dtype}, which can't be made up: give it with --inputs FILE.npz")
