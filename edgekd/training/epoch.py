"""One epoch of a training: every training image once, then the validation images."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor

from edgekd.data.dataset import View
from edgekd.training import ranks
from edgekd.training.device import place_images, seeded
from edgekd.training.divergence import mean_loss, require_finite_weights, require_gradients
from edgekd.training.evaluate import evaluate
from edgekd.training.history import Epoch
from edgekd.training.mixup import mix
from edgekd.training.prepare import Run
from edgekd.training.reporting import reporter
from edgekd.training.step import Batch, run_step
from edgekd.training.teacher_batches import TeacherBatches


def train_epoch(run: Run, epoch: int, history: Sequence[Epoch]) -> Epoch:
    """Train epoch number `epoch`, from 1, after those of `history`.

    Raises:
        DivergedError: the loss or a weight is no longer finite, or all gradients are zero.
    """
    loss, seconds = learn(run, epoch, history)
    validation = evaluate(run.evaluated, run.setup.data.val, execution=run.learner.execution)
    require_gradients(run, epoch, loss, validation)
    images, rate = run.schedule.images_of(epoch), run.schedule.last_rate(epoch)
    return Epoch(loss=loss, validation=validation, images=images, seconds=seconds, learning_rate=rate)


def learn(run: Run, epoch: int, history: Sequence[Epoch] = ()) -> tuple[float, float]:
    """Train for an epoch without evaluating it: the mean loss and the seconds.

    Raises:
        DivergedError: the loss or a weight is no longer finite.
    """
    learner, schedule, view = run.learner, run.schedule, run.view(epoch)
    report, teacher = reporter(run, epoch, history), TeacherBatches(run, epoch)
    losses: list[Tensor] = []
    start = time.perf_counter()
    learner.model.train()
    with seeded(_seed(view)):
        for step, batch in enumerate(_batches(run, epoch, teacher)):
            losses.append(run_step(learner, batch, schedule.rate(epoch, step)))
            if run.average:
                run.average.follow(learner.model, schedule.first_step(epoch) + step)
            report(losses)
    loss = mean_loss(run, epoch, ranks.mean(torch.stack(losses)))
    ranks.broadcast_buffers(learner.model)
    if run.average:
        ranks.broadcast_buffers(run.average.model)
    teacher.keep()
    seconds = time.perf_counter() - start
    require_finite_weights(run, epoch)
    return loss, seconds


def _seed(view: View) -> int:
    """Of everything random inside the networks, such as dropout."""
    return (view.seed * 1_000_003 + view.epoch + view.part * 2**40) % 2**63


def _batches(run: Run, epoch: int, teacher: TeacherBatches) -> Iterator[Batch]:
    """What the steps of an epoch learn from."""
    view, learner = run.view(epoch), run.learner
    batches = run.setup.data.train.batches(run.schedule.batch_size, view)
    for number, (images, labels) in enumerate(islice(batches, run.schedule.steps_of(epoch))):
        mixed = mix(view, number, len(images))
        placed = place_images(mixed.images(images) if mixed else images, learner.execution, learner.device)
        yield Batch(placed, labels, teacher(placed), mixed)
