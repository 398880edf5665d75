"""A network on disk, with what its results are kept under."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from edgekd import files
from edgekd.pipeline.job import Job
from edgekd.store import fingerprint
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import load_weights


@dataclass(frozen=True)
class Net:
    """A network between two steps."""

    job: Job
    """The run's, with the network's architecture as the recipe's model."""
    weights: Path
    sha256: str
    """Of the weights."""
    structure: Path | None = None
    """What pruning left of the architecture; None where it is whole."""
    sparse: bool = False
    """Whether single weights were pruned, which stay zero."""
    int8: bool = False
    """Whether its trainings round to INT8."""
    seconds: float = 0.0
    """What its trainings took."""

    def module(self) -> nn.Module:
        """The network, in eval mode."""
        if self.structure:
            return load_pruned(Definition.read(self.structure), self.weights).eval()
        model = self.job.network()
        load_weights(model, self.weights)
        return model.eval()

    @cached_property
    def key(self) -> str:
        """The same for networks that compute the same with the same weights, and for no others."""
        structure = files.sha256(self.structure) if self.structure else None
        return fingerprint({"network": self.job.identity, "structure": structure, "weights": self.sha256})
