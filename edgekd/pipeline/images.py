"""The images of a run, prepared as its networks want them."""

from collections.abc import Callable

from edgekd.data.dataset import Dataset
from edgekd.pipeline.wanted import believed, wanted
from edgekd.progress import Progress
from edgekd.values import Data, Recipe


def load_images(recipe: Recipe, load: Callable[[Data], Dataset], progress: Progress) -> Dataset:
    """The recipe's data, prepared as the weights want it where that is known and nothing else is said."""
    progress.stage("data", f"loading {recipe.data.source}")
    data = load(recipe.data)
    asked = wanted(recipe, data)
    if asked != recipe.data:
        data = load(asked)
        progress.note(f"data: prepared as for {recipe.model}'s own weights, since the recipe states nothing else")
    data = believed(data)
    for note in data.notes:
        progress.note(f"data: {note}")
    return data
