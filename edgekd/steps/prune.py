"""Prunes the network as planned, or by a share of the planned pruning, and repairs what is left."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from edgekd.steps._base import Stated
from edgekd.steps._repair import repair
from edgekd.steps._task import State, Task
from edgekd.training.evaluated import evaluated
from edgekd.values import Recovery, Value
from edgekd.values.result import Brought

PRUNES = True


class Settings(Value):
    """The amount of pruning, and what follows it."""

    share: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    """The share of the planned pruning that is done after this step, for pruning in several steps."""
    repair: bool = True
    """Whether batch norms are recalibrated and layers fitted to those before, without training; each is kept only if it
    lowers the loss on held-out training images."""


def training(settings: Settings, recover: Recovery) -> None:
    """No training."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> str | None:
    """The shares of the prune steps must increase to 1."""
    earlier = [step.settings.share for step in before if isinstance(step.settings, Settings)]
    later = [step.settings.share for step in after if isinstance(step.settings, Settings)]
    if (earlier and earlier[-1] >= settings.share) or (not later and settings.share != 1):
        return "the shares of the prune steps must increase to 1 (the whole planned pruning)"
    return None


def run(settings: Settings, state: State, task: Task) -> State:
    """Prune, evaluate what is left, and repair it."""
    network = task.pruned(state.network, settings.share)
    if network == state.network:
        return state
    if state.network.origin == "random":  # still: its norm says nothing, and nothing of it is worth a repair
        network = network.model_copy(update={"origin": "random"})
    network = evaluated(task.run, network, task.data)
    assert network.accuracy is not None
    what = f"{network.cost.parameters:,} of {state.network.cost.parameters:,} parameters left"
    brought = Brought(step="prune", what=what, accuracy=network.accuracy)
    pruned = replace(state, network=network, cut=network, brought=(*state.brought, brought))
    return repair(pruned, state.network, task) if settings.repair else pruned
