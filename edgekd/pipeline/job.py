"""What every stage of `compress` works on."""

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor, nn

from edgekd.data import identity as data_identity
from edgekd.data.dataset import Dataset
from edgekd.devices._base import Device
from edgekd.gate.budget import Budget
from edgekd.pipeline.deploy import Deployment, deployment
from edgekd.progress import Progress
from edgekd.run import Resources, Run
from edgekd.store import Store
from edgekd.values import Architecture, Feeding, Recipe, Target
from edgekd.values.result import Mirrored
from edgekd.zoo import networks


@dataclass(frozen=True)
class Job:
    """One `compress`: what was asked for, and where its results are kept."""

    recipe: Recipe
    target: Target
    budget: Budget
    data: Dataset
    device: Device | None
    """None: there is no device of the target's kind, so nothing is measured."""
    run: Store
    shared: Store
    """Results that other runs may want, such as a trained teacher."""
    progress: Progress
    trust_checkpoint: bool = False
    normalisation_stated: bool = True
    """Whether somebody said how images are normalised; else given weights are tried with what is usual."""
    track: str | None = None
    """The tracker that trainings tell their epochs; see `edgekd.training.trackers`."""

    mirrored: Mirrored | None = None
    """Why training flips images or doesn't, where a given teacher was asked."""

    resources: Resources = field(default_factory=Resources)
    """What stays open between stages; closed before a training, which needs the memory."""

    @cached_property
    def deployment(self) -> Deployment:
        """How its networks become artifacts."""
        calibration = self.recipe.quantize.images
        return deployment(self.target, self.data, self.feeding, calibration_images=calibration)

    @property
    def means(self) -> Run:
        """The run directory, and the means to work in it."""
        return Run(
            store=self.run, shared=self.shared, progress=self.progress, tracker=self.track, resources=self.resources
        )

    @property
    def example(self) -> Tensor:
        """One image (1, C, H, W)."""
        return torch.zeros(1, *self.data.train.shape)

    @property
    def feeding(self) -> Feeding:
        """How every exported file is fed."""
        return Feeding(
            preprocessing=self.data.preprocessing,
            normalised_by="graph" if self.recipe.export.include_preprocessing else "caller",
            # a data set of the user's own may name them by numbers, or by bytes that are no text
            classes=tuple(str(name).encode(errors="backslashreplace").decode() for name in self.data.classes),
        )

    def network(self) -> nn.Module:
        """The recipe's model with fresh weights."""
        return networks.untrained(self.architecture, self.recipe.seed)

    @cached_property
    def architecture(self) -> Architecture:
        """The recipe's model."""
        return networks.architecture(self.recipe.model, classes=len(self.data.classes), shape=self.data.train.shape)

    @cached_property
    def images(self) -> str:
        """What decides the images, and how a network sees them."""
        return data_identity.identity(self.data)
