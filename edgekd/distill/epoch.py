"""One epoch of a training: every training image once, then the validation images."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from edgekd.data.dataset import Dataset, View
from edgekd.distill.evaluate import Score, evaluate
from edgekd.distill.schedule import learning_rate, steps_per_epoch
from edgekd.distill.step import Learner, run_step, seeded
from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.schema import PositiveInt, Training, Value

_REPORT_SECONDS = 0.25


class Epoch(Value):
    """One pass over the training images."""

    loss: float
    """Mean training loss."""
    validation: Score
    images: PositiveInt
    """Training images seen."""
    seconds: float
    """Time that training took, the data and the teacher included and validation not."""


@dataclass(frozen=True)
class Run:
    """What all epochs of a training share; `settings.epochs` is set."""

    learner: Learner
    data: Dataset
    settings: Training
    seed: int
    checkpoint: Path
    progress: Progress

    @property
    def epochs(self) -> int:
        """Epochs of the whole training."""
        assert self.settings.epochs is not None
        return self.settings.epochs

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        return steps_per_epoch(len(self.data.train), self.settings.batch_size)

    @property
    def images(self) -> int:
        """Training images of an epoch."""
        return min(self.steps * self.settings.batch_size, len(self.data.train))


def train_epoch(run: Run, epoch: int, history: Sequence[Epoch]) -> Epoch:
    """Train epoch number `epoch`, from 1, after those of `history`.

    Raises:
        EdgekdError: the loss is no longer finite.
    """
    learner, settings = run.learner, run.settings
    report = _reporter(run, epoch, history)
    losses: list[Tensor] = []
    start = time.perf_counter()
    learner.model.train()
    with seeded((run.seed * 1_000_003 + epoch) % 2**63):
        view = View(run.data.augmentation, run.seed, epoch)
        for images, labels in run.data.train.batches(settings.batch_size, view):
            step = (epoch - 1) * run.steps + len(losses)
            rate = learning_rate(step, run.epochs * run.steps, settings.learning_rate, settings.warmup)
            for group in learner.optimizer.param_groups:
                group["lr"] = rate
            losses.append(run_step(learner, images, labels))
            report(losses)
    loss = _mean_loss(run, epoch, losses)
    seconds = time.perf_counter() - start
    validation = evaluate(learner.model, run.data.val, execution=learner.execution)
    return Epoch(loss=loss, validation=validation, images=run.images, seconds=seconds)


def _mean_loss(run: Run, epoch: int, losses: Sequence[Tensor]) -> float:
    """The mean loss so far, waiting for the device.

    Raises:
        EdgekdError: a loss isn't finite.
    """
    values = torch.stack(list(losses))
    finite = values.isfinite()
    if not finite.all():
        step = int(finite.logical_not().nonzero()[0].item())
        what = f"training diverged: the loss is {values[step].item()} in epoch {epoch}, step {step + 1} of {run.steps}"
        kept = f" {run.checkpoint} holds the epochs before." if epoch > 1 else ""
        raise EdgekdError(what, f"Lower the learning rate; it is {run.settings.learning_rate:g}.{kept}")
    return float(values.mean().item())


def _reporter(run: Run, epoch: int, history: Sequence[Epoch]) -> Callable[[Sequence[Tensor]], None]:
    """Tells the progress about the losses of an epoch so far, a few times a second: reading a loss waits for it."""
    start = last = time.monotonic()
    validated = f"  val {100 * history[-1].validation.top1:.1f} %" if history else ""

    def report(losses: Sequence[Tensor]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_SECONDS and len(losses) < run.steps:
            return
        last = now
        seen = min(len(losses) * run.settings.batch_size, run.images)
        loss = _mean_loss(run, epoch, losses)
        speed = f"{seen / max(1e-9, now - start):,.0f} images/s"
        detail = f"epoch {epoch}/{run.epochs}  loss {loss:.2f}{validated}  {speed}"
        run.progress.advance((epoch - 1) * run.images + seen, run.epochs * run.images, detail)

    return report
