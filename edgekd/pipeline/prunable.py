"""Whether, and how far, a network can be pruned: tried with random weights, before anything is trained for it."""

from edgekd.pipeline.job import Job
from edgekd.pipeline.planning import learns_unpruned
from edgekd.pipeline.students import Students
from edgekd.steps._read import has_pruning
from edgekd.values import Keep, Recipe
from edgekd.zoo import networks

_TIMEOUT_S = 60
"""What a network that can't be followed may take before it is told so; those that can need some seconds."""


def prunes(recipe: Recipe, *, has_device: bool) -> bool:
    """Whether anything may be pruned at all."""
    if recipe.prune.ratio is not None:
        return recipe.prune.ratio > 0 and has_pruning(recipe)
    return not learns_unpruned(recipe) and (has_device or recipe.prune.keep != Keep())


def require_prunable(job: Job) -> None:
    """Prune as the recipe asks, or the least and the most that it may come to.

    Raises:
        UnsupportedModelError: it can't be pruned; the message says where and why, the hint what works instead.
    """
    recipe = job.recipe
    if not prunes(recipe, has_device=job.device is not None):
        return
    model = recipe.student or recipe.model
    architecture = networks.architecture(model, classes=len(job.data.classes), shape=job.data.train.shape)
    job.progress.stage("prune", f"trying out how far {model} can be pruned")
    limits = recipe.prune.model_copy(update={"timeout_s": min(recipe.prune.timeout_s, _TIMEOUT_S)})
    with Students(job, architecture, None, pruning=limits) as students:
        tried = students.tried(recipe.prune.ratio)
    job.progress.note(f"prune: {model} can be pruned by {' and '.join(f'{ratio:.0%}' for ratio in tried) or 'nothing'}")
