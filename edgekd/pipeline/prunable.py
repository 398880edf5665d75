"""What a run asks of pruning: whether a network can be pruned, found out before anything is trained, and the step."""

from edgekd.pipeline.job import Job
from edgekd.pipeline.planning import learns_unpruned, question_of, search_of
from edgekd.pruning.space import part_of_the_way
from edgekd.pruning.stages import Prunable, prunable, pruned, space, tried
from edgekd.steps._read import has_pruning
from edgekd.values import Keep, Recipe, Structure
from edgekd.values.network import Network
from edgekd.zoo import networks

_TIMEOUT_S = 60
"""What a network that can't be followed may take before it is refused; those that can need some seconds."""


def prunable_of(job: Job, network: Network) -> Prunable:
    """The network, and what it is pruned by; raises EdgekdError if there is no such criterion or option."""
    return prunable(
        job.means,
        network.architecture,
        job.data,
        job.recipe.prune,
        channel_block=job.target.channel_block,
        weights=network.weights,
        definition=network.definition,
        sparse=network.sparse,
    )


def prunes(recipe: Recipe, *, has_device: bool) -> bool:
    """Whether anything may be pruned at all."""
    settings = recipe.search
    if settings.ratio is not None or settings.structure is not None:
        some = bool(settings.ratio) or (settings.structure is not None and not settings.structure.is_whole)
        return some and has_pruning(recipe)
    return not learns_unpruned(recipe) and (has_device or settings.keep != Keep())


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
    job.progress.stage("prune", f"trying how far {model} can be pruned")
    limits = recipe.prune.model_copy(update={"timeout_s": min(recipe.prune.timeout_s, _TIMEOUT_S)})
    random = prunable(job.means, architecture, job.data, limits, channel_block=job.target.channel_block)
    search, question = search_of(recipe), question_of(job)
    trials = search.trials(question, space(job.means, random, question.granularity))
    tried(job.means, random, tuple(trial.structure for trial in trials))
    job.resources.close()
    what = " and ".join(trial.what for trial in trials) or "nothing"
    job.progress.note(f"prune: {model} can do without {what}")


def prune(job: Job, network: Network, start: Network, structure: Structure, share: float) -> Network:
    """The network after `share` of the way to the structure.

    Args:
        job: the run's.
        network: as it is now.
        start: as it was before anything was pruned.
        structure: what it comes to in the end.
        share: of the way.
    """
    if share < 1:
        whole = space(job.means, prunable_of(job, start), *(("channels",) if structure.widths else ()))
        structure = part_of_the_way(whole, structure, share)
    if structure.is_whole:
        return network
    found = pruned(job.means, prunable_of(job, network), structure)
    job.resources.close()
    return found
