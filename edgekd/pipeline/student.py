"""The student: where it begins, and the recipe's steps from there."""

from functools import partial

from edgekd.data.dataset import Dataset
from edgekd.pipeline.prunable import Pruner
from edgekd.run import Run
from edgekd.steps._read import read_steps, trainings
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.training.initial import initial
from edgekd.training.objective import require_losses as require
from edgekd.training.stage import two_images
from edgekd.training.supervision import Supervision
from edgekd.values import Recipe, Structure
from edgekd.values.network import Network
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks
from edgekd.zoo.reinitialize import another


def beginning(run: Run, recipe: Recipe, data: Dataset, teacher: Network) -> Network:
    """The network that the student begins as: the recipe's own student with random weights, else the teacher."""
    if recipe.student is None:
        return teacher
    own = networks.architecture(recipe.student, classes=len(data.classes), shape=data.train.shape)
    return initial(run, own, another(recipe.seed))


def require_losses(recipe: Recipe, data: Dataset) -> None:
    """Raises EdgekdError if a step's losses don't exist, have no such options, or can't take this network."""
    # a student that is pruned has some of the network's channels; which ones isn't known before
    kept: dict[str, tuple[int, ...]] | None = None if recipe.student else {}
    architecture = networks.architecture(recipe.model, classes=len(data.classes), shape=data.train.shape)
    network = networks.untrained(architecture, recipe.seed)
    for settings in trainings(recipe):
        require(settings.losses, network, two_images(data.train.shape), kept)


def make_student(
    recipe: Recipe,
    start: Network,
    structure: Structure,
    supervision: Supervision,
    pruner: Pruner,
    *,
    rounding: Rounding,
) -> Network:
    """The network after every step of the recipe, pruned to the structure; quantisation-aware trainings round so."""
    task = Task(
        run=pruner.run,
        data=pruner.data,
        supervision=supervision,
        recover=recipe.recover,
        seed=recipe.seed,
        calibration_images=recipe.quantize.images,
        rounding=rounding,
        pruned=partial(_part, pruner, start, structure),
    )
    return run_steps(read_steps(recipe.steps), start, task)


def _part(pruner: Pruner, start: Network, structure: Structure, network: Network, share: float) -> Network:
    return pruner.part(network, start, structure, share)
