"""Wanted: how images are prepared where the recipe leaves it open and the library of the given weights knows it."""

from typing import Any

from edgekd.data.dataset import Dataset
from edgekd.schema import Data, Recipe
from edgekd.zoo.build import preprocessing

_PHOTO = (224, 224)
"""Height and width that the data chooses for photographs."""
_SHAPING = ("size", "resize", "crop", "interpolation")


def states_normalisation(stated: Data) -> bool:
    """Whether it is said how images are normalised."""
    return stated.mean is not None or stated.std is not None


def wanted(recipe: Recipe, data: Dataset) -> Data:
    """The recipe's [data]; what it leaves open is filled in with how a library's own weights were fed, if weights of a
    library's model are given for colour images, as those are.

    Mean and deviation are always the library's then; size, crop and filter only where `data`, which the recipe gives as
    it is, came out as photographs do: images that are seen as they are stay so.
    """
    library = preprocessing(recipe.model) if recipe.weights and data.preprocessing.colour == "rgb" else None
    if library is None:
        return recipe.data
    found: dict[str, Any] = {}
    if not states_normalisation(recipe.data):
        found |= {"mean": library.mean, "std": library.std}
    how = data.preprocessing
    open_to_it = all(getattr(recipe.data, name) is None for name in _SHAPING)
    if open_to_it and how.crop == "center" and (how.height, how.width) == _PHOTO:
        found |= {"size": (library.height, library.width), "resize": library.resize}
        found |= {"crop": library.crop, "interpolation": library.interpolation}
    return recipe.data.model_copy(update=found)
