"""Prepares a training: everything that its epochs share."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset, View
from edgekd.data.identity import identity as data_identity
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.store import cache_key
from edgekd.training import ranks
from edgekd.training.average import Average, averaged
from edgekd.training.cache import MOST_BYTES, TeacherCache, make_room
from edgekd.training.device import place_images
from edgekd.training.forward import logits
from edgekd.training.schedule import Schedule, schedule_of
from edgekd.training.setup import Means, Setup
from edgekd.training.step import Learner, learner
from edgekd.training.teacher import frozen
from edgekd.values import Recovery
from edgekd.values.training import Execution
from edgekd.zoo.identity import digest, identity

_SHOWN_DIGITS = 16


@dataclass(frozen=True)
class Run:
    """What all epochs of a training share."""

    setup: Setup
    """With complete settings; the teacher is the caller's."""
    schedule: Schedule
    learner: Learner
    means: Means
    teacher: nn.Module | None = None
    """As `teacher.frozen` makes it."""
    cache: TeacherCache | None = None
    """Of the teacher's logits for these views; None where they are computed again, and for features."""
    average: Average | None = None
    """Of the model's weights, which is evaluated and kept in their place."""

    @property
    def evaluated(self) -> nn.Module:
        """The network that the training makes: the averaged one if there is any."""
        return self.average.model if self.average else self.learner.model

    def view(self, epoch: int) -> View:
        """What this process sees of the images in an epoch, from 1."""
        setup, number = self.setup, self.schedule.first_view + epoch - 1
        return View(setup.data.augmentation, setup.seed, number, ranks.number(), ranks.count())


def prepared(setup: Setup, execution: Execution, means: Means) -> Run:
    """What the epochs of a training need, with the model on its device; raises as `engine.train`."""
    setup = setup.complete()
    data, settings = setup.data, setup.settings
    schedule = schedule_of(settings, len(data.train), setup.part)
    _require_equal_parts(schedule.batch_size)
    student = learner(setup.model, setup.objective, settings, execution, keep_zeros=setup.keep_zeros)
    images, _ = next(iter(data.val.batches(schedule.batch_size)))
    _require_classes(setup.model, place_images(images, execution, student.device), data)
    run = Run(setup, schedule, replace(student, loss=ranks.parallel(student.loss)), means)
    if isinstance(settings, Recovery):
        run = replace(run, average=averaged(setup.model, schedule.steps))
    return _with_teacher(run, images)


def key_of(run: Run) -> str:
    """The key of a training: everything that determines the trained weights, before the first step."""
    setup, learner = run.setup, run.learner
    return cache_key(
        {
            "model": _network(run, learner.model),
            "teacher": _network(run, setup.teacher) if setup.teacher is not None else None,
            "data": data_identity(setup.data),
            "settings": setup.settings,
            "seed": setup.seed,
            "execution": learner.execution.model_copy(update={"images_per_second": {}}),
            "objective": [repr(learner.objective), digest(learner.objective)],
            "device": learner.device.type,
            "keep_zeros": len(learner.zeros),
            "processes": ranks.count(),
            "part": vars(setup.part) if setup.part else None,
        }
    )


def _with_teacher(run: Run, images: Tensor) -> Run:
    """Adds the frozen teacher, if any, and the cache of its outputs if they are logits."""
    teacher, learner = run.setup.teacher, run.learner
    if teacher is None:
        return run
    features = learner.objective.teacher_taps is not None
    run = replace(run, teacher=frozen(teacher, images, learner.execution, learner.device, whole=features))
    return run if features or run.means.cache is None else replace(run, cache=_cache(run, teacher, run.means.cache))


def _cache(run: Run, teacher: nn.Module, root: Path) -> TeacherCache | None:
    """The cache of this teacher's outputs for these views, below `root`; None if it would be too large."""
    setup, schedule, learner = run.setup, run.schedule, run.learner
    size = 4 * len(setup.data.classes) * schedule.images_until(schedule.epochs)
    made_by = {
        "teacher": _network(run, teacher),
        "data": data_identity(setup.data),
        "seed": setup.seed,
        "images": [schedule.train_images, schedule.batch_size, ranks.number(), ranks.count()],
        "precision": learner.execution.teacher_precision,
        "device": learner.device.type,
    }
    folder = root / cache_key(made_by)[:_SHOWN_DIGITS]
    if size > MOST_BYTES or not make_room(root, size, but=folder):
        run.means.progress.note(f"the teacher's outputs are not cached: they need {size / 1e9:.2g} GB")
        return None
    return TeacherCache(folder, run.means.progress)


def _network(run: Run, model: nn.Module) -> list[str]:
    """The identity of a network's computation and the digest of its weights."""
    return [identity(model, run.setup.data.train.shape), digest(model)]


def _require_equal_parts(batch_size: int) -> None:
    if batch_size % ranks.count():
        what = f"a batch of {batch_size} images can't be divided equally among {ranks.count()} processes"
        raise EdgekdError(what, "Set batch_size to a multiple of --nproc-per-node.")


def _require_classes(model: nn.Module, images: Tensor, data: Dataset) -> None:
    model.eval()
    with torch.inference_mode():
        given = logits(model, images, "fp32").shape[1]
    if given != len(data.classes):
        what = f"the model has {given} classes, {data.name} has {len(data.classes)}"
        raise UnsupportedModelError(what, f"Build the model for {len(data.classes)} classes.")
