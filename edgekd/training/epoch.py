"""One epoch of a training: every training image once, then the validation images."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset, View
from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.training import ranks
from edgekd.training.average import Average
from edgekd.training.cache import TeacherCache
from edgekd.training.evaluate import Score, evaluate
from edgekd.training.forward import teacher_outputs
from edgekd.training.mixup import mix
from edgekd.training.outputs import Outputs
from edgekd.training.schedule import learning_rate, steps_per_epoch
from edgekd.training.step import Learner, place_images, run_step, seeded
from edgekd.training.trackers._base import Tracker
from edgekd.values import PositiveInt, Training, Value

_REPORT_SECONDS = 0.25
_GUESSING = 0.05
"""Fraction of the range from chance level to perfect accuracy."""


class DivergedError(EdgekdError):
    """A training diverged; a lower learning rate may help."""


class Epoch(Value):
    """One pass over the training images."""

    loss: float
    """Mean training loss."""
    validation: Score
    images: PositiveInt
    """Training images seen."""
    seconds: float
    """Training time, including data loading and the teacher, without validation."""


@dataclass(frozen=True)
class Part:
    """A part of a training: fewer steps than its epochs have, with a learning-rate schedule of its own."""

    steps: int
    views: int = 0
    """How many epochs of views earlier parts have begun; this one begins with the next."""


@dataclass(frozen=True)
class Run:
    """The state shared by all epochs of a training; `settings` are complete."""

    learner: Learner
    teacher: nn.Module | None
    """As `teacher.frozen` gives it."""
    data: Dataset
    settings: Training
    seed: int
    checkpoint: Path
    progress: Progress
    cache: TeacherCache | None = None
    """Of the teacher's logits for these views; None where it is computed again, and for features."""
    tracker: Tracker | None = None
    average: Average | None = None
    """Of the model's weights, which is evaluated and kept in their place."""

    @property
    def evaluated(self) -> nn.Module:
        """The network that the training makes: the averaged one if there is any."""
        return self.average.model if self.average else self.learner.model

    part: Part | None = None
    """None: all epochs of the settings."""

    @property
    def epochs(self) -> int:
        """Epochs of the whole training; the last one of a part may be shorter than the others."""
        return math.ceil(self.all_steps / self.steps)

    @property
    def batch_size(self) -> int:
        """Images of a step."""
        assert self.settings.batch_size is not None
        return self.settings.batch_size

    @property
    def rate(self) -> float:
        """The highest learning rate."""
        assert self.settings.learning_rate is not None, "chosen before the training"
        return self.settings.learning_rate

    @property
    def steps(self) -> int:
        """Steps of an epoch with all images."""
        return steps_per_epoch(len(self.data.train), self.batch_size)

    @property
    def all_steps(self) -> int:
        """Steps of the whole training."""
        assert self.settings.epochs is not None
        return self.part.steps if self.part else self.settings.epochs * self.steps

    @property
    def first_view(self) -> int:
        """The view of the images that the first epoch sees, from 1."""
        return 1 + (self.part.views if self.part else 0)

    def images(self, epoch: int) -> int:
        """Training images that this training has seen after so many epochs."""
        of_epoch = min(self.steps * self.batch_size, len(self.data.train))
        return min(epoch * of_epoch, self.all_steps * self.batch_size)

    def steps_of(self, epoch: int) -> int:
        """Steps of an epoch, from 1."""
        return min(self.steps, self.all_steps - (epoch - 1) * self.steps)


def train_epoch(run: Run, epoch: int, history: Sequence[Epoch]) -> Epoch:
    """Train epoch number `epoch`, from 1, after those of `history`.

    Raises:
        DivergedError: the loss or a weight is no longer finite, or all gradients are zero.
    """
    loss, seconds = learn(run, epoch, history)
    validation = evaluate(run.evaluated, run.data.val, execution=run.learner.execution)
    _require_gradients(run, epoch, loss, validation)
    images = run.images(epoch) - run.images(epoch - 1)
    return Epoch(loss=loss, validation=validation, images=images, seconds=seconds)


def learn(run: Run, epoch: int, history: Sequence[Epoch] = ()) -> tuple[float, float]:
    """Train for an epoch without evaluating it: the mean loss and the seconds.

    Raises:
        DivergedError: the loss or a weight is no longer finite.
    """
    learner = run.learner
    report = _reporter(run, epoch, history)
    teacher = TeacherBatches(run, epoch)
    losses: list[Tensor] = []
    start = time.perf_counter()
    learner.model.train()
    part, parts = ranks.number(), ranks.count()
    seen = run.first_view + epoch - 1
    with seeded((run.seed * 1_000_003 + seen + part * 2**40) % 2**63):
        view = View(run.data.augmentation, run.seed, seen, part, parts)
        for images, labels in islice(run.data.train.batches(run.batch_size, view), run.steps_of(epoch)):
            rate = _rate(run, epoch, len(losses))
            for group in learner.optimizer.param_groups:
                group["lr"] = rate
            mixed = mix(view, len(losses), len(images))
            placed = place_images(mixed.images(images) if mixed else images, learner.execution, learner.device)
            losses.append(run_step(learner, placed, labels, teacher(placed), mixed))
            if run.average:
                run.average.follow(learner.model, (epoch - 1) * run.steps + len(losses) - 1)
            report(losses)
    loss = _mean_loss(run, epoch, ranks.mean(torch.stack(losses)))
    ranks.broadcast_buffers(learner.model)
    if run.average:
        ranks.broadcast_buffers(run.average.model)
    teacher.keep()
    seconds = time.perf_counter() - start
    _require_finite_weights(run, epoch)
    return loss, seconds


class TeacherBatches:
    """The teacher's outputs for one epoch's batches, in their order: from the cache, else computed and kept there."""

    def __init__(self, run: Run, epoch: int) -> None:
        self._run, self._view = run, run.first_view + epoch - 1
        images = (run.images(epoch) - run.images(epoch - 1)) // ranks.count()
        self._cached = run.cache.read(self._view, images) if run.cache else None
        self._start = 0
        self._computed: list[Tensor] = []

    def __call__(self, images: Tensor) -> Outputs | None:
        """The teacher's outputs for the next batch of placed images; None without a teacher."""
        run, start = self._run, self._start
        if run.teacher is None:
            return None
        self._start += len(images)
        if self._cached is not None:
            return Outputs(self._cached[start : self._start].to(images.device, non_blocking=True))
        precision, taps = run.learner.execution.teacher_precision, run.learner.objective.teacher_taps
        outputs = teacher_outputs(run.teacher, images, precision, taps)
        if run.cache:
            self._computed.append(outputs.logits)
        return outputs

    def keep(self) -> None:
        """Write what was computed to the cache."""
        if self._run.cache and self._computed:
            self._run.cache.write(self._view, torch.cat(self._computed))


def _rate(run: Run, epoch: int, step: int) -> float:
    """The learning rate of a step, from 0, of an epoch, from 1."""
    return learning_rate((epoch - 1) * run.steps + step, run.all_steps, run.rate, run.settings.warmup)


def _mean_loss(run: Run, epoch: int, values: Tensor) -> float:
    """The mean loss so far, waiting for the device.

    Raises:
        DivergedError: a loss isn't finite.
    """
    finite = values.isfinite()
    if not finite.all():
        step = int(finite.logical_not().nonzero()[0].item())
        raise _diverged(run, f"the loss is {values[step].item()}", epoch, step)
    return float(values.mean().item())


def _require_finite_weights(run: Run, epoch: int) -> None:
    """Raises DivergedError if the epoch's last step left a weight that isn't finite."""
    if not all(bool(parameter.isfinite().all()) for parameter in run.learner.model.parameters()):
        raise _diverged(run, "weights are no longer finite", epoch, run.steps_of(epoch) - 1)


def _require_gradients(run: Run, epoch: int, loss: float, validation: Score) -> None:
    """Raises DivergedError if the network is dead: a step that was too long left activations that are 0 for all
    images, so that no weight has a gradient any more, though the network only guesses.
    """
    guessing = 1 / len(run.data.classes)
    gradients = [p.grad for p in run.learner.model.parameters() if p.ndim > 1 and p.grad is not None]
    if loss == 0 or not gradients or validation.top1 - guessing > _GUESSING * (1 - guessing):
        return
    if not any(bool(gradient.any()) for gradient in gradients):
        what = f"all gradients are zero, and the loss stays at {loss:.3g}"
        raise _diverged(run, what, epoch, run.steps_of(epoch) - 1)


def _diverged(run: Run, what: str, epoch: int, step: int) -> DivergedError:
    rate, peak = _rate(run, epoch, step), run.rate
    where = f"in epoch {epoch}, step {step + 1} of {run.steps_of(epoch)}, at a learning rate of {rate:.3g}"
    kept = f" {run.checkpoint} contains the previous epochs." if epoch > 1 else ""
    hint = f"Lower learning_rate in the recipe's [teacher], or in its [recover] for a student; it is {peak:g}.{kept}"
    return DivergedError(f"training diverged: {what} {where}", hint)


def _reporter(run: Run, epoch: int, history: Sequence[Epoch]) -> Callable[[Sequence[Tensor]], None]:
    """Reports the losses of an epoch so far, a few times a second: reading a loss waits for it."""
    start = last = time.monotonic()
    before = run.images(epoch - 1)
    validated = f"  val {100 * history[-1].validation.top1:.1f} %" if history else ""

    def report(losses: Sequence[Tensor]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _REPORT_SECONDS and len(losses) < run.steps_of(epoch):
            return
        last = now
        seen = min(len(losses) * run.batch_size, run.images(epoch) - before)
        seen_losses = torch.stack(list(losses))
        # all ranks must do the same, and know the same only at the end of an epoch
        loss = _mean_loss(run, epoch, seen_losses) if ranks.count() == 1 else float(seen_losses.mean())
        speed = f"{seen / max(1e-9, now - start):,.0f} images/s"
        detail = f"epoch {epoch}/{run.epochs}  loss {loss:.2f}{validated}  {speed}"
        run.progress.advance(before + seen, run.images(run.epochs), detail)

    return report
