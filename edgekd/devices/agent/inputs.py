"""What a model is fed while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np


def random_feeds(inputs: Sequence[Mapping[str, Any]], *, batch: int, seed: int) -> dict[str, Any]:
    """Seeded random values for a runtime's `Session.inputs()`: standard normal where they are floating-point,
    else 0 or 1, which are good indices of any table.

    Raises:
        ValueError: an axis other than the first has no fixed size, or the values aren't numbers.
    """
    import numpy as np  # here: a missing runtime, which would bring it, is told in plain words

    random = np.random.default_rng(seed)
    return {i["name"]: _values(i["name"], _shape(i, batch), i["dtype"], random) for i in inputs}


def _shape(given: Mapping[str, Any], batch: int) -> list[int]:
    shape = list(given["shape"])
    if shape and not isinstance(shape[0], int):
        shape[0] = batch
    for axis, size in enumerate(shape):
        if not isinstance(size, int):
            name = f" {size!r}" if size else ""
            raise ValueError(f"axis {axis}{name} of input {given['name']!r} has no fixed size")
    return shape


def _values(name: str, shape: list[int], dtype: str, random: np.random.Generator) -> Any:
    if dtype.startswith("float"):
        return random.standard_normal(shape).astype(dtype)
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return random.integers(0, 2, shape).astype(dtype)
    raise ValueError(f"input {name!r} takes {dtype}, which can't be made up")
