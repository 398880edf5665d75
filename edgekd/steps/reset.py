"""Reinitialises the pruned network with random weights, to test the value of its structure alone."""

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
    """No settings."""


@dataclass(frozen=True)
class Inputs:
    """Everything that determines the weights."""

    network: Network
    seed: int


def training(settings: Settings, recover: Recovery) -> None:
    """No training."""


def misplaced(settings: Settings, before: Sequence[Stated], after: Sequence[Stated]) -> None:
    """Every position is valid."""


def run(settings: Settings, state: State, task: Task) -> State:
    """Reinitialise the weights."""
    found = task.run.stage("reset", Inputs(state.network, task.seed), reset)
    return replace(state, network=found.called(state.network.architecture), cut=None)


def reset(inputs: Inputs, at: Workspace) -> Network:
    """The network with new random weights; pruned weights stay zero."""
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
