"""Fine-tuning: trains the network with labels only."""

from collections.abc import Sequence

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.steps._training import TrainingSettings, stated_over, train
from edgekd.values import Recovery
from edgekd.values.losses import LABELS_ALONE

PRUNES = False


class Settings(TrainingSettings):
    """Overrides of the recipe's [recover]."""


def training(settings: Settings, recover: Recovery) -> Recovery:
    """[recover], overridden by the step's settings, with labels only."""
    return stated_over(recover, settings).model_copy(update={"losses": LABELS_ALONE})


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> None:
    """Every position is valid."""


def run(settings: Settings, state: State, task: Task) -> State:
    """Train."""
    return train(training(settings, task.recover), state, task, "finetune")
