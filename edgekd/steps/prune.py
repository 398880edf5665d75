"""The network becomes as small as the plan says, or a share of the way smaller."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.values import Recovery, Value

PRUNES = True


class Settings(Value):
    """How far it goes."""

    share: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    """Of what is taken out in all, how much is gone after this step: for pruning in several."""


def training(settings: Settings, recover: Recovery) -> None:
    """It trains nothing."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> str | None:
    """The shares of all such steps rise, and the last one is 1."""
    earlier = [step.settings.share for step in before if isinstance(step.settings, Settings)]
    later = [step.settings.share for step in after if isinstance(step.settings, Settings)]
    if (earlier and earlier[-1] >= settings.share) or (not later and settings.share != 1):
        return "the shares of the prune steps should rise to 1, which is all that is taken out"
    return None


def run(settings: Settings, state: State, task: Task) -> State:
    """Prune."""
    return replace(state, network=task.pruned(state.network, settings.share))
