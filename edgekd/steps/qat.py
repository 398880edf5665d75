"""Quantisation-aware training: the trainings of later steps simulate INT8 (`training.int8`), so that the INT8 file
loses less accuracy. They round as the target's first INT8 file does, and their ranges become those of the INT8 files.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.training.stage import Simulation
from edgekd.values import Recovery, Value

PRUNES = False


class Settings(Value):
    """The initial ranges are those of the training images of the recipe's [quantize]."""

    ranges: Literal["observed", "learned"] = "observed"
    """Whether ranges of activations follow a moving average, or have a gradient."""


def training(settings: Settings, recover: Recovery) -> None:
    """No training in this step."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> str | None:
    """A later step must train."""
    if any(step.module.training(step.settings, Recovery()) for step in after):
        return None
    return "nothing is trained after 'qat', so it has no effect; add a step such as 'distil' or 'finetune' after it"


def run(settings: Settings, state: State, task: Task) -> State:
    """Switch INT8 simulation on for later steps."""
    simulation = Simulation(task.calibration_images, task.rounding, settings.ranges == "learned")
    return replace(state, int8=simulation)
