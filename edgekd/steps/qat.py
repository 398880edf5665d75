"""Quantisation-aware training: what is trained from here on is rounded to INT8 on the way (`training.int8`), so that
its INT8 file loses less.
"""

from collections.abc import Sequence
from dataclasses import replace

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.values import Recovery, Value

PRUNES = False


class Settings(Value):
    """None; the images are those of the recipe's [quantize]."""


def training(settings: Settings, recover: Recovery) -> None:
    """It trains nothing itself."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> str | None:
    """A step after it trains."""
    if any(step.module.training(step.settings, Recovery()) for step in after):
        return None
    return "nothing is trained after 'qat', so it has no effect; put a step such as 'distil' or 'finetune' behind it"


def run(settings: Settings, state: State, task: Task) -> State:
    """Have what follows round."""
    return replace(state, quantised=True)
