"""Training a network inside a stage: the teacher from labels, the student from the teacher."""

from pathlib import Path

import torch
from torch import nn

from edgekd import catalog, files
from edgekd.distill.engine import train
from edgekd.distill.execution import choose_execution
from edgekd.pipeline.job import Job
from edgekd.results import Execution, Network
from edgekd.schema import Accuracy, Recovery, Training
from edgekd.store import remembered
from edgekd.zoo.cost import macs, parameters
from edgekd.zoo.weights import save_weights


def require_loss(settings: Recovery, classes: int) -> None:
    """Raises EdgekdError if the recipe's loss doesn't exist, has no such options, or can't take so many classes."""
    logits = torch.zeros(2, classes)
    catalog.load("distill.losses", settings.loss).build(settings)(logits, logits, torch.zeros(2, dtype=torch.int64))


def learn(
    job: Job, model: nn.Module, settings: Training, *, folder: Path, weights: str, teacher: nn.Module | None = None
) -> Network:
    """Train `model` and write its best weights to `folder`; goes on from a checkpoint that is there."""
    chosen = catalog.load("distill.losses", settings.loss if isinstance(settings, Recovery) else "ce")
    loss, teacher = chosen.build(settings), teacher if chosen.needs_teacher else None
    execution = remembered(
        folder / "execution.json",
        Execution,
        lambda: choose_execution(model, job.data, settings, loss, teacher),
    )
    job.progress.note(f"training in {execution.precision}, {execution.memory_format}: the fastest of those timed here")
    checkpoint = folder / "checkpoint.pt"
    trained = train(
        model,
        job.data,
        settings,
        seed=job.recipe.seed,
        execution=execution,
        loss=loss,
        teacher=teacher,
        checkpoint=checkpoint,
        progress=job.progress,
    )
    save_weights(model, folder / weights)
    checkpoint.unlink(missing_ok=True)
    best = trained.validation
    return Network(
        weights=weights,
        sha256=files.sha256(folder / weights),
        parameters=parameters(model),
        macs=macs(model, job.data.train.shape),
        val=Accuracy(correct=best.correct, images=best.images, dataset=job.data.name, split="val"),
        origin="distilled" if teacher is not None else "trained",
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        images_per_second=trained.images_per_second,
        execution=execution,
    )
