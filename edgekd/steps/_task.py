"""What the steps of a recipe work on, and what one hands to the next."""

from collections.abc import Callable
from dataclasses import dataclass

from edgekd.data.dataset import Dataset
from edgekd.run import Run
from edgekd.training.supervision import Supervision
from edgekd.values import Recovery
from edgekd.values.network import Network


@dataclass(frozen=True)
class State:
    """A network between two steps."""

    network: Network
    quantised: bool = False
    """Whether trainings round to INT8 on the way."""
    seconds: float = 0.0
    """What the trainings took so far."""


@dataclass(frozen=True)
class Task:
    """What all steps of a recipe work on."""

    run: Run
    """Where their stages are kept."""
    data: Dataset
    supervision: Supervision
    """Who teaches in the trainings."""
    recover: Recovery
    """How they train where a step states nothing else."""
    seed: int
    calibration_images: int
    """Training images for the first ranges of activations where a training rounds to INT8."""
    pruned: Callable[[Network, float], Network]
    """The network with this share, up to 1, of what the plan takes out gone."""
