"""What a training is given: what decides its result, and the means to do it."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.progress import Progress
from edgekd.training.objective import Objective
from edgekd.training.schedule import Part
from edgekd.training.trackers._base import Tracker
from edgekd.values import Training
from edgekd.values.defaults import training_for


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that decides the weights that a training comes to; its `Execution` changes them by rounding."""

    model: nn.Module
    """Maps images (B, C, H, W) to logits (B, classes); it is trained in place."""
    objective: Objective
    """Built for these networks; its projections are trained too."""
    data: Dataset
    """Normalised images; each epoch sees a new augmented view of `train`, the same for teacher and model."""
    settings: Training
    """Of a `Recovery`, the losses and the learning rate are decided."""
    seed: int
    """Of views and dropout; the model's initial weights are the caller's."""
    teacher: nn.Module | None = None
    """It isn't changed."""
    keep_zeros: bool = False
    """Whether zero weights of convolutions and linear layers stay zero, because they were pruned."""
    part: Part | None = None
    """None: all epochs of the settings."""

    def complete(self) -> "Setup":
        """With the settings filled in that were left to the data, by `values.defaults.training_for`."""
        images = self.data.train
        return replace(self, settings=training_for(self.settings, (len(images), *images.shape)))


@dataclass(frozen=True)
class Means:
    """What a training works with; nothing of it decides the result."""

    checkpoint: Path
    """The checkpoint file."""
    progress: Progress
    """Receives the number of images done, over all epochs."""
    cache: Path | None = None
    """A folder that caches the teacher's outputs for other students with the same views."""
    tracker: Tracker | None = None
    """Receives the values of every epoch."""
