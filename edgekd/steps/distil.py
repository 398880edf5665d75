"""Knowledge distillation: trains the network with the teachers and the recipe's or the step's losses."""

from collections.abc import Sequence

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.steps._training import TrainingSettings, stated_over, train
from edgekd.values import Losses, Recovery

PRUNES = False


class Settings(TrainingSettings):
    """Overrides of the recipe's [recover]."""

    losses: Losses | None = None


def training(settings: Settings, recover: Recovery) -> Recovery:
    """[recover], overridden by the step's settings."""
    return stated_over(recover, settings)


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> None:
    """Every position is valid."""


def run(settings: Settings, state: State, task: Task) -> State:
    """Train."""
    return train(training(settings, task.recover), state, task, "distil")
