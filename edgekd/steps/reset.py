"""What is left of the network gets new random weights: whether its structure alone is worth something."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from edgekd.run import Workspace
from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.training.step import pruned_weights
from edgekd.values import Recovery, Value
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.reinitialize import reinitialize

PRUNES = False


class Settings(Value):
    """None."""


@dataclass(frozen=True)
class Inputs:
    """All that decides the weights."""

    network: Network
    seed: int


def training(settings: Settings, recover: Recovery) -> None:
    """It trains nothing."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> None:
    """It may stand anywhere."""


def run(settings: Settings, state: State, task: Task) -> State:
    """Draw the weights."""
    return replace(state, network=task.run.stage("reset", Inputs(state.network, task.seed), reset))


def reset(inputs: Inputs, at: Workspace) -> Network:
    """The network with new random weights; what was pruned of it stays gone."""
    network, model = inputs.network, networks.load(inputs.network)
    zeros = pruned_weights(model) if network.sparse else []
    reinitialize(model, inputs.seed)
    with torch.no_grad():
        for weight, zero in zeros:
            weight.masked_fill_(zero, 0)
    path = at.folder / "reset.safetensors"
    return networks.save(
        model, path, network.architecture, origin="random", definition=network.definition, sparse=network.sparse
    )
