"""How the networks of a run are pruned, and whether they can be, found out before anything is trained."""

from dataclasses import dataclass

from edgekd.data.dataset import Dataset
from edgekd.pipeline.search import Searching, learns_unpruned
from edgekd.pruning.space import Granularity, Space, part_of_the_way
from edgekd.pruning.stages import Prunable, prunable, pruned, space, tried
from edgekd.run import Run
from edgekd.steps._read import has_pruning, prune_shares
from edgekd.values import Keep, Pruning, Recipe, Structure
from edgekd.values.network import Network
from edgekd.zoo import networks

_TIMEOUT_S = 60
"""What a network that can't be followed may take before it is refused; those that can need some seconds."""


@dataclass(frozen=True)
class Pruner:
    """How the networks of a run are pruned; its process stays open until something is trained."""

    run: Run
    data: Dataset
    settings: Pruning
    channel_block: int
    """Channels that the runtime's kernels process together."""

    def of(self, network: Network, further_images: int = 0) -> Prunable:
        """The network, and what it is pruned by; raises EdgekdError if there is no such criterion or option.

        Args:
            network: as it is.
            further_images: behind those that it is judged by.
        """
        return prunable(
            self.run,
            network.architecture,
            self.data,
            self.settings,
            channel_block=self.channel_block,
            weights=network.weights,
            definition=network.definition,
            sparse=network.sparse,
            further_images=further_images,
        )

    def space(self, network: Network, *kinds: Granularity) -> Space:
        """What of these kinds can be removed from the network."""
        return space(self.run, self.of(network), *kinds)

    def pruned(self, network: Network, structure: Structure) -> Network:
        """The network with that structure, untrained."""
        return pruned(self.run, self.of(network), structure)

    def part(self, network: Network, start: Network, structure: Structure, share: float) -> Network:
        """The network after `share` of the way from `start`, which is unpruned, to the structure."""
        if share < 1:
            whole = self.space(start, *(("channels",) if structure.widths else ()))
            structure = part_of_the_way(whole, structure, share)
        if structure.is_whole:
            return network
        return self.pruned(network, structure)


def prunes(recipe: Recipe, *, has_device: bool) -> bool:
    """Whether anything may be pruned at all."""
    settings = recipe.search
    if settings.ratio is not None or settings.structure is not None:
        some = bool(settings.ratio) or (settings.structure is not None and not settings.structure.is_whole)
        return some and has_pruning(recipe)
    return not learns_unpruned(recipe) and (has_device or settings.keep != Keep())


def require_prunable(run: Run, recipe: Recipe, data: Dataset, *, channel_block: int, has_device: bool) -> None:
    """Prune random weights as the recipe asks, or the least and the most that it may come to.

    Raises:
        UnsupportedModelError: it can't be pruned; the message says where and why, the hint what works instead.
    """
    if not prunes(recipe, has_device=has_device):
        return
    model = recipe.student or recipe.model
    architecture = networks.architecture(model, classes=len(data.classes), shape=data.train.shape)
    run.progress.stage("prune", f"trying how far {model} can be pruned")
    limits = recipe.prune.model_copy(update={"timeout_s": min(recipe.prune.timeout_s, _TIMEOUT_S)})
    random = prunable(run, architecture, data, limits, channel_block=channel_block)
    searching = Searching(recipe, has_device=has_device)
    question = searching.question()
    whole = space(run, random, question.granularity)
    trials = searching.search.trials(question, whole)
    tried(run, random, tuple(trial.structure for trial in trials))
    if shares := [share for share in prune_shares(recipe) if share < 1]:
        on_the_way = (part_of_the_way(whole, trial.structure, share) for trial in trials for share in shares)
        tried(run, random, tuple(on_the_way))
    what = " and ".join(trial.what for trial in trials) or "nothing"
    run.progress.note(f"prune: {model} can do without {what}")
