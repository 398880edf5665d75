"""Quantisation-aware training: the trainings of later steps simulate INT8 (`training.int8`), so that the INT8 file
loses less accuracy.
"""

from collections.abc import Sequence
from dataclasses import replace

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.values import Recovery, Value

PRUNES = False


class Settings(Value):
    """No settings; the calibration images are those of the recipe's [quantize]."""


def training(settings: Settings, recover: Recovery) -> None:
    """No training in this step."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> str | None:
    """A later step must train."""
    if any(step.module.training(step.settings, Recovery()) for step in after):
        return None
    return "nothing is trained after 'qat', so it has no effect; add a step such as 'distil' or 'finetune' after it"


def run(settings: Settings, state: State, task: Task) -> State:
    """Switch INT8 simulation on for later steps."""
    return replace(state, quantised=True)
