"""Networks before any training, as a stage."""

from dataclasses import dataclass

from edgekd.run import Run, Workspace
from edgekd.values import Architecture
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.identity import digest


@dataclass(frozen=True)
class Inputs:
    """All that decides the weights."""

    architecture: Architecture
    seed: int
    weights: str
    """The digest of what the factory gives: its own code may draw them otherwise, or load them, tomorrow."""


def initial(run: Run, architecture: Architecture, seed: int, *, shared: bool = False) -> Network:
    """The network as its factory gives it, with random weights of this seed.

    Raises:
        EdgekdError: as `build`.
    """
    weights = digest(networks.untrained(architecture, seed))
    found = run.stage("initial", Inputs(architecture, seed, weights), write_initial, shared=shared)
    return found.called(architecture)


def write_initial(inputs: Inputs, at: Workspace) -> Network:
    """The network in a file."""
    model = networks.untrained(inputs.architecture, inputs.seed)
    return networks.save(model, at.folder / "initial.safetensors", inputs.architecture, origin="random")
