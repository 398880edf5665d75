"""The data shared by a recipe's steps, and the state passed from one to the next."""

from collections.abc import Callable
from dataclasses import dataclass

from edgekd.data.dataset import Dataset
from edgekd.run import Run
from edgekd.training.stage import Simulation
from edgekd.training.supervision import Supervision
from edgekd.values import Recovery, Training
from edgekd.values.network import Network
from edgekd.values.result import Brought
from edgekd.values.rounding import Rounding
from edgekd.values.training import TrainingRecord


@dataclass(frozen=True)
class State:
    """A network between two steps."""

    network: Network
    cut: Network | None = None
    """As it was pruned, before any repair; None if it was trained, or given new weights, since."""
    int8: Simulation | None = None
    """How trainings simulate INT8; None: they don't."""
    brought: tuple[Brought, ...] = ()
    """What each step so far brought."""
    record: TrainingRecord | None = None
    """Of the trainings so far; None before the first."""
    prunes_later: bool = False
    """Whether a later step prunes the network."""


@dataclass(frozen=True)
class Task:
    """The data shared by all steps of a recipe."""

    run: Run
    """The run that stores their stages."""
    data: Dataset
    supervision: Supervision
    """The teachers of the trainings."""
    recover: Recovery
    """The default training settings of steps."""
    seed: int
    calibration_images: int
    """Number of training images for the initial activation ranges of INT8 trainings."""
    rounding: Rounding
    """That of the first INT8 file."""
    pruned: Callable[[Network, float], Network]
    """Prunes a network by this share (up to 1) of the planned pruning."""
    teacher: Training
    """How the original was trained, or would have been."""
