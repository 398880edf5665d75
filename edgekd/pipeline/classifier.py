"""Whether the recipe's networks can do what it asks of them, found out before anything is trained."""

import copy
from dataclasses import replace

from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pipeline.job import Job
from edgekd.zoo.forward import own_words, run


def require_classifier(job: Job) -> None:
    """Try every network of the recipe on blank images, before anything is trained.

    Raises:
        UnsupportedModelError: one can't take the data's images, alone, in a batch, or in training where something
            trains, gives anything else than one logit a class, or can't be copied.
    """
    others = (job.recipe.student, *(tutor.model for tutor in job.recipe.tutors))
    for model in dict.fromkeys((job.recipe.model, *(other for other in others if other))):
        _try(replace(job, recipe=job.recipe.model_copy(update={"model": model})))


def _try(job: Job) -> None:
    name, classes = job.recipe.model, len(job.data.classes)
    network = job.network().eval()
    with own_words(f"{name} can't be copied", "Mend what copy.deepcopy raises for it."):
        copy.deepcopy(network)
    for images in (1, 2):
        given = _given_for(network, images, job)
        if not isinstance(given, Tensor) or tuple(given.shape) != (images, classes):
            got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise UnsupportedModelError(
                f"{name} gives {got} for {'one image' if images == 1 else f'{images} images'}, not {(images, classes)}",
                "edgekd compresses image classifiers: one tensor of logits, one a class.",
            )
    if not job.recipe.weights or any(step.do in ("distil", "finetune") for step in job.recipe.steps):
        _given_for(network.train(), 2, job)


def _given_for(network: nn.Module, images: int, job: Job) -> object:
    """What the network gives for that many blank images."""
    try:
        return run(network, job.example.repeat(images, 1, 1, 1))
    except UnsupportedModelError as e:
        what = f"{job.recipe.model} can't take {job.data.name}'s images {tuple(job.data.train.shape)}"
        raise UnsupportedModelError(f"{what}: {e.message}", e.hint) from e
