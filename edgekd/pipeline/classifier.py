"""Whether the recipe's networks can do what it asks of them, found out before anything is trained."""

import copy

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.errors import UnsupportedModelError
from edgekd.steps._read import trainings
from edgekd.values import Recipe
from edgekd.zoo.build import build
from edgekd.zoo.forward import own_words, run


def require_classifier(recipe: Recipe, data: Dataset) -> None:
    """Try every network of the recipe on blank images, before anything is trained.

    Raises:
        UnsupportedModelError: one can't take the data's images, alone, in a batch, or in training where something
            trains, gives anything else than one logit a class, or can't be copied.
    """
    others = (recipe.student, *(teacher.model for teacher in recipe.teachers))
    trains = not recipe.weights or bool(trainings(recipe))
    for model in dict.fromkeys((recipe.model, *(other for other in others if other))):
        _try(model, data, trains=trains)


def _try(model: str, data: Dataset, *, trains: bool) -> None:
    classes, (channels, *size) = len(data.classes), data.train.shape
    network = build(model, classes=classes, channels=channels, size=(size[0], size[1])).eval()
    with own_words(f"{model} can't be copied", "Fix the error that copy.deepcopy raises for it."):
        copy.deepcopy(network)
    for images in (1, 2):
        given = _given_for(network, images, model, data)
        if not isinstance(given, Tensor) or tuple(given.shape) != (images, classes):
            got = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
            fed = "one image" if images == 1 else f"{images} images"
            raise UnsupportedModelError(
                f"{model} gives {got} for {fed}, not {(images, classes)}",
                "edgekd compresses image classifiers: one tensor of logits, one a class.",
            )
    if trains:
        _given_for(network.train(), 2, model, data)


def _given_for(network: nn.Module, images: int, model: str, data: Dataset) -> object:
    """What the network gives for that many blank images."""
    try:
        return run(network, torch.zeros(images, *data.train.shape))
    except UnsupportedModelError as e:
        what = f"{model} can't take {data.name}'s images {tuple(data.train.shape)}"
        raise UnsupportedModelError(f"{what}: {e.message}", e.hint) from e
