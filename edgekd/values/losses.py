"""The losses of a training, by their names."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from edgekd.values.value import NonNegative


def _weighted(stated: Any) -> Any:
    """`kd = 0.9` is short for `kd = {weight = 0.9}`."""
    if not isinstance(stated, dict):
        return stated
    return {name: value if isinstance(value, dict) else {"weight": value} for name, value in stated.items()}


Losses = Annotated[dict[str, dict[str, NonNegative]], BeforeValidator(_weighted)]
"""Each loss's `weight` (1 if not stated) in the sum, and its further options, by its name."""

LABELS_ALONE: Losses = {"ce": {"weight": 1.0}}
HALF_AND_HALF: Losses = {"ce": {"weight": 0.5}, "kd": {"weight": 0.5, "temperature": 4.0}}
MOSTLY_TEACHER: Losses = {"ce": {"weight": 0.1}, "kd": {"weight": 0.9, "temperature": 4.0}}
NAMED: dict[str, Losses] = {
    "labels alone": LABELS_ALONE,
    "half labels, half teacher": HALF_AND_HALF,
    "mostly teacher": MOSTLY_TEACHER,
}
