"""One epoch of a training: every training image once, then the validation images."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset, View
from edgekd.distill import processes
from edgekd.distill.cache import TeacherCache
from edgekd.distill.evaluate import Score, evaluate
from edgekd.distill.forward import teach
from edgekd.distill.mixup import mix
from edgekd.distill.schedule import learning_rate, steps_per_epoch
from edgekd.distill.seen import Seen
from edgekd.distill.step import Learner, place_images, run_step, seeded
from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.schema import PositiveInt, Training, Value
from edgekd.track._base import Tracker

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
    teacher: nn.Module | None
    """As `teacher.frozen` gives it."""
    data: Dataset
    settings: Training
    seed: int
    checkpoint: Path
    progress: Progress
    cache: TeacherCache | None = None
    """Of the teacher's logits for these views; None where it is asked anew, or for features."""
    tracker: Tracker | None = None

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
    lesson = Lesson(run, epoch)
    losses: list[Tensor] = []
    start = time.perf_counter()
    learner.model.train()
    part, parts = processes.rank(), processes.count()
    with seeded((run.seed * 1_000_003 + epoch + part * 2**40) % 2**63):
        view = View(run.data.augmentation, run.seed, epoch, part, parts)
        for images, labels in run.data.train.batches(settings.batch_size, view):
            step = (epoch - 1) * run.steps + len(losses)
            rate = learning_rate(step, run.epochs * run.steps, settings.learning_rate, settings.warmup)
            for group in learner.optimizer.param_groups:
                group["lr"] = rate
            mixed = mix(view, len(losses), len(images))
            placed = place_images(mixed.images(images) if mixed else images, learner.execution, learner.device)
            losses.append(run_step(learner, placed, labels, lesson(placed), mixed))
            report(losses)
    loss = _mean_loss(run, epoch, processes.mean(torch.stack(losses)))
    processes.same_buffers(learner.model)
    lesson.keep()
    seconds = time.perf_counter() - start
    validation = evaluate(learner.model, run.data.val, execution=learner.execution)
    return Epoch(loss=loss, validation=validation, images=run.images, seconds=seconds)


class Lesson:
    """What the teacher says of one epoch's batches, in their order: from the cache, else asked and kept there."""

    def __init__(self, run: Run, epoch: int) -> None:
        self._run, self._epoch = run, epoch
        self._known = run.cache.read(epoch) if run.cache else None
        self._start = 0
        self._said: list[Tensor] = []

    def __call__(self, images: Tensor) -> Seen | None:
        """What the teacher sees in the next batch of placed images; None without a teacher."""
        run, start = self._run, self._start
        if run.teacher is None:
            return None
        self._start += len(images)
        if self._known is not None:
            return Seen(self._known[start : self._start].to(images.device, non_blocking=True))
        seen = teach(run.teacher, images, run.learner.execution.teacher_precision, run.learner.objective.teacher_taps)
        if run.cache:
            self._said.append(seen.logits)
        return seen

    def keep(self) -> None:
        """Write what was asked to the cache."""
        if self._run.cache and self._said:
            self._run.cache.write(self._epoch, torch.cat(self._said))


def _mean_loss(run: Run, epoch: int, values: Tensor) -> float:
    """The mean loss so far, waiting for the device.

    Raises:
        EdgekdError: a loss isn't finite.
    """
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
        loss = _mean_loss(run, epoch, torch.stack(list(losses)))
        speed = f"{seen / max(1e-9, now - start):,.0f} images/s"
        detail = f"epoch {epoch}/{run.epochs}  loss {loss:.2f}{validated}  {speed}"
        run.progress.advance((epoch - 1) * run.images + seen, run.epochs * run.images, detail)

    return report
