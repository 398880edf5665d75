"""What a model is fed while it is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from edgekd.devices.agent import fitting
else:  # on a device this folder is all there is
    import fitting


def random_feeds(
    inputs: Sequence[Mapping[str, Any]], *, batch: int, seed: int, shapes: Mapping[str, Sequence[int]] | None = None
) -> dict[str, Any]:
    """Seeded random values for a runtime's `Session.inputs()`: standard normal where they are floating-point,
    0 to 255 where they are uint8, as pixels are, else 0 or 1, which are good indices of any table.

    Args:
        inputs: what the model takes.
        batch: the size of a first axis that is open.
        seed: of the values.
        shapes: of inputs with open axes, as `fitting.complete` takes them.

    Raises:
        fitting.WrongInputsError: an axis has no size, a given shape doesn't fit, or the values aren't numbers.
    """
    known = fitting.complete(inputs, batch, shapes or {})
    if not known:
        return {}
    import numpy as np  # here: a missing runtime, which would bring it, is reported in plain words

    random = np.random.default_rng(seed)
    return {i["name"]: _values(i, known[i["name"]], random) for i in inputs}


def made_up_integers(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The inputs that `random_feeds` feeds integers, which not every model can take."""
    return [i["name"] for i in inputs if i["dtype"].startswith(("int", "uint"))]


def _values(wanted: Mapping[str, Any], shape: list[int], random: np.random.Generator) -> Any:
    dtype = wanted["dtype"]
    if dtype.startswith("float"):
        return random.standard_normal(shape).astype(dtype)
    if dtype == "uint8":
        return random.integers(0, 256, shape).astype(dtype)
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return random.integers(0, 2, shape).astype(dtype)
    message = f"input {wanted['name']!r} takes {dtype}, which can't be made up"
    raise fitting.WrongInputsError(message, f"Give it with --inputs FILE.npz. {fitting.saving([wanted])}")
