"""The input values of a model during a measurement."""

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
    """Seeded random values for a runtime's `Session.inputs()`: standard normal for floating point, 0 to 255 for uint8
    (pixels), otherwise 0 or 1, which are valid indices of any table.

    Args:
        inputs: the model's inputs.
        batch: size of a dynamic first axis.
        seed: seed of the values.
        shapes: shapes of inputs with dynamic axes; see `fitting.complete`.

    Raises:
        fitting.WrongInputsError: an axis has no size, a given shape doesn't match, or the values aren't numeric.
    """
    known = fitting.complete(inputs, batch, shapes or {})
    if not known:
        return {}
    import numpy as np  # imported late, so that a missing runtime (which brings numpy) is reported first

    random = np.random.default_rng(seed)
    return {i["name"]: _values(i, known[i["name"]], random) for i in inputs}


def made_up_integers(inputs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The inputs for which `random_feeds` generates integers, which not every model accepts."""
    return [i["name"] for i in inputs if i["dtype"].startswith(("int", "uint"))]


def _values(wanted: Mapping[str, Any], shape: list[int], random: np.random.Generator) -> Any:
    dtype = wanted["dtype"]
    if dtype.startswith("float"):
        return random.standard_normal(shape).astype(dtype)
    if dtype == "uint8":
        return random.integers(0, 256, shape).astype(dtype)
    if dtype == "bool" or dtype.startswith(("int", "uint")):
        return random.integers(0, 2, shape).astype(dtype)
    message = f"input {wanted['name']!r} has type {dtype}, for which no random values can be generated"
    raise fitting.WrongInputsError(message, f"Give values with --inputs FILE.npz. {fitting.saving([wanted])}")
