"""The schedule of a training: its steps and epochs, and the learning rate of each step."""

import math
from dataclasses import dataclass

from edgekd.values import Training


@dataclass(frozen=True)
class Part:
    """A part of a training: fewer steps than its epochs have, with a learning-rate schedule of its own."""

    steps: int
    views: int = 0
    """How many epochs of views earlier parts have begun; this one begins with the next."""


@dataclass(frozen=True)
class Schedule:
    """Which steps a training takes. Epochs are counted from 1, the steps of an epoch from 0."""

    train_images: int
    batch_size: int
    steps: int
    """Of the whole training."""
    peak: float
    """The highest learning rate."""
    warmup: float
    """The fraction of the steps over which it rises."""
    first_view: int = 1
    """The view of the images that the first epoch sees, from 1."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole training; the last one of a part may be shorter than the others."""
        return math.ceil(self.steps / self._full)

    def steps_of(self, epoch: int) -> int:
        """Steps of an epoch."""
        return min(self._full, self.steps - self.first_step(epoch))

    def first_step(self, epoch: int) -> int:
        """Steps before an epoch."""
        return (epoch - 1) * self._full

    def images_until(self, epoch: int) -> int:
        """Training images seen at the end of an epoch; 0 of epoch 0."""
        of_epoch = min(self._full * self.batch_size, self.train_images)
        return min(epoch * of_epoch, self.steps * self.batch_size)

    def images_of(self, epoch: int) -> int:
        """Training images of an epoch."""
        return self.images_until(epoch) - self.images_until(epoch - 1)

    def rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step of an epoch."""
        return learning_rate(self.first_step(epoch) + step, self.steps, self.peak, self.warmup)

    def last_rate(self, epoch: int) -> float:
        """The learning rate of an epoch's last step."""
        return self.rate(epoch, self.steps_of(epoch) - 1)

    @property
    def _full(self) -> int:
        """Steps of an epoch with all images."""
        return steps_per_epoch(self.train_images, self.batch_size)


def schedule_of(settings: Training, train_images: int, part: Part | None = None) -> Schedule:
    """The schedule of complete settings, or of a part of their training."""
    assert settings.epochs is not None
    assert settings.batch_size is not None
    assert settings.learning_rate is not None, "chosen before the training"
    steps = part.steps if part else settings.epochs * steps_per_epoch(train_images, settings.batch_size)
    first_view = 1 + (part.views if part else 0)
    return Schedule(train_images, settings.batch_size, steps, settings.learning_rate, settings.warmup, first_view)


def steps_per_epoch(train_images: int, batch_size: int) -> int:
    """Batches of an epoch, the last incomplete one left out unless it is the only one."""
    return max(1, train_images // batch_size)


def learning_rate(step: int, steps: int, peak: float, warmup: float) -> float:
    """The learning rate of step 0 … `steps` - 1: a linear rise over the first `warmup` fraction, then a half cosine
    to 0 (I. Loshchilov, F. Hutter, "SGDR", 2017, arXiv:1608.03983, equation 5, without restarts).

    It is never 0 during the training.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak / 2 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))
