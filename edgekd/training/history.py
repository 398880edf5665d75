"""The history of a training, epoch by epoch."""

from edgekd.training.evaluate import Score
from edgekd.values import PositiveInt, Value


class Epoch(Value):
    """One pass over the training images."""

    loss: float
    """Mean training loss."""
    validation: Score
    images: PositiveInt
    """Training images seen."""
    seconds: float
    """Training time, including data loading and the teacher, without validation."""
    learning_rate: float | None = None
    """Of the last step; None in the checkpoint of an earlier version."""


class Trained(Value):
    """The history of a training."""

    history: tuple[Epoch, ...]
    features_alone: bool = False
    """Whether only features were trained, so that the validation accuracy doesn't show progress."""
    learning_rate: float | None = None
    """The reduced peak learning rate if the training diverged at the configured one; gradients were then clipped."""
    lost_seconds: float = 0.0
    """Training time until it diverged at the configured one."""

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the most correct validation images; the last one of several, or the last epoch if
        only features were trained.
        """
        if self.features_alone:
            return self.epochs
        return max(range(1, self.epochs + 1), key=lambda epoch: (self.history[epoch - 1].validation.correct, epoch))

    @property
    def validation(self) -> Score:
        """The validation score of the best epoch."""
        return self.history[self.best_epoch - 1].validation

    @property
    def seconds(self) -> float:
        """Training time of all epochs, and of those before it diverged, without validation."""
        return self.lost_seconds + sum(e.seconds for e in self.history)

    @property
    def images_per_second(self) -> float:
        """Training images per second over all epochs."""
        return sum(e.images for e in self.history) / max(1e-9, self.seconds - self.lost_seconds)
