"""Wanted: how images are prepared where the recipe leaves it open and the library of the given weights knows it."""

from dataclasses import replace
from typing import Any

from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.feeding import believable
from edgekd.values import Data, Recipe
from edgekd.zoo.build import preprocessing

_PHOTO = (224, 224)
"""Height and width that the data chooses for photographs."""
_SEEN = 64
"""Images that are looked at."""
_SHAPING = ("size", "resize", "crop", "interpolation")


def states_normalisation(stated: Data) -> bool:
    """Whether it is said how images are normalised."""
    return stated.mean is not None or stated.std is not None


def believed(data: Dataset) -> Dataset:
    """The data set; where its images can't come from pixels by the mean and deviation that it states, with channels of
    the user's own kind, so that no file tells its users to feed it photographs so, and with a note.
    """
    how = data.preprocessing
    if how.colour is None or believable(sample_images(data.val, _SEEN), how):
        return data
    note = (
        "without the stated normalisation, pixels are not between black and white, so files can't state how a "
        "photo is prepared; have the data set state the mean and std, as fractions of white, that it normalises by"
    )
    return replace(data, preprocessing=how.model_copy(update={"colour": None}), notes=(*data.notes, note))


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
