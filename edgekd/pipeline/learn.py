"""Training a network inside a stage: the teacher from labels, the student from the teacher."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.deploy.outputs import sample_images
from edgekd.pipeline.job import Job
from edgekd.store import Crew, remembered
from edgekd.training.engine import train
from edgekd.training.execution import choose_execution
from edgekd.training.int8 import rounded
from edgekd.training.objective import LABELS_ALONE, build_objective
from edgekd.training.trackers._base import TRACKERS, Tracker
from edgekd.values import Accuracy, Recovery, Training, document
from edgekd.values.network import Network
from edgekd.values.training import Execution, TrainingRecord
from edgekd.zoo import networks


@dataclass(frozen=True)
class Lessons:
    """Who teaches, and what of it the student has."""

    teacher: nn.Module
    key: str
    """Of the teacher with its weights; of all teachers together."""
    kept: Mapping[str, tuple[int, ...]] | None = None
    """The teacher's channels that the student's layers kept, where that is known."""


def learn(
    job: Job,
    model: nn.Module,
    settings: Training,
    network: Network,
    *,
    folder: Path,
    weights: str,
    lessons: Lessons | None = None,
    int8: bool = False,
) -> Network:
    """Train `model` and write its best weights to `folder`; goes on from a checkpoint that is there.

    Args:
        job: the run's.
        model: trained in place.
        settings: of the training.
        network: what `model` was loaded from.
        folder: the stage's.
        weights: the file's name there.
        lessons: who teaches; None for the labels alone.
        int8: whether it is rounded to INT8 on the way.
    """
    losses = settings.losses if isinstance(settings, Recovery) else LABELS_ALONE
    teacher, kept = (lessons.teacher, lessons.kept) if lessons else (None, None)
    objective = build_objective(losses, model, teacher, two_images(job), kept=kept, seed=job.recipe.seed)
    teacher = teacher if objective.needs_teacher else None
    checkpoint = folder / "checkpoint.pt"
    with _as_int8(job, model) if int8 else nullcontext(), _tracked(job, folder, settings) as tracker:
        execution = _execution(
            folder, job.run.crew, lambda: choose_execution(model, job.data, settings, objective, teacher)
        )
        job.progress.note(f"training in {execution.precision}, {execution.memory_format}: the fastest timed here")
        trained = train(
            model,
            job.data,
            settings,
            seed=job.recipe.seed,
            execution=execution,
            objective=objective,
            teacher=teacher,
            cache=job.shared.root / "teacher-outputs",
            keep_zeros=network.sparse,
            checkpoint=checkpoint,
            progress=job.progress,
            tracker=tracker,
        )
    checkpoint.unlink(missing_ok=True)
    saved = networks.save(
        model,
        folder / weights,
        network.architecture,
        origin="distilled" if teacher is not None else "trained",
        definition=network.definition,
        sparse=network.sparse,
    )
    best = trained.validation
    accuracy = Accuracy(correct=best.correct, images=best.images, dataset=job.data.name, split="val")
    record = TrainingRecord(
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        images_per_second=trained.images_per_second,
        learning_rate=trained.learning_rate,
        execution=execution,
    )
    return saved.model_copy(update={"accuracy": accuracy, "training": record})


def _as_int8(job: Job, model: nn.Module) -> AbstractContextManager[None]:
    return rounded(model, torch.from_numpy(sample_images(job.data.train, job.recipe.quantize.images)))


@contextmanager
def _tracked(job: Job, folder: Path, settings: Training) -> Iterator[Tracker | None]:
    """The tracker of the training in this stage's folder, if one was asked for."""
    if job.track is None or not job.run.crew.leads:
        yield None
        return
    name = folder.name.strip(".").removesuffix(".partial")
    stated = {**document(settings), "model": job.recipe.model, "data": job.data.name, "seed": job.recipe.seed}
    tracker = catalog.load(TRACKERS, job.track).begin(job.run.root / "track", name, stated)
    try:
        yield tracker
    finally:
        tracker.close()


def _execution(folder: Path, crew: Crew, choose: Callable[[], Execution]) -> Execution:
    """How to train: as it was decided when this training began."""
    decided = remembered(folder / "execution.json", Execution, choose) if crew.leads else Execution()
    return crew.agree(decided)


def two_images(job: Job) -> Tensor:
    """What losses are built with: two images (2, C, H, W)."""
    return job.example.repeat(2, 1, 1, 1)


def named(network: Network, dataset: str) -> Network:
    """The same network; the same images may have been called otherwise when it was evaluated."""
    assert network.accuracy is not None
    return network.model_copy(update={"accuracy": network.accuracy.model_copy(update={"dataset": dataset})})
