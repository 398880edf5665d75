"""The student: where it begins, and the recipe's steps from there."""

from edgekd.pipeline.job import Job
from edgekd.pipeline.students import Students
from edgekd.steps._read import read_steps, trainings
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.training.initial import initial
from edgekd.training.objective import require_losses as require
from edgekd.training.stage import two_images
from edgekd.training.supervision import Supervision
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.reinitialize import another


def random_student(job: Job) -> Network:
    """The recipe's own student, with random weights."""
    assert job.recipe.student is not None
    own = networks.architecture(job.recipe.student, classes=len(job.data.classes), shape=job.data.train.shape)
    return initial(job.means, own, another(job.recipe.seed))


def require_losses(job: Job) -> None:
    """Raises EdgekdError if a step's losses don't exist, have no such options, or can't take this network."""
    # a student that is pruned has some of the network's channels; which ones isn't known before
    kept: dict[str, tuple[int, ...]] | None = None if job.recipe.student else {}
    network = job.network()
    for settings in trainings(job.recipe):
        require(settings.losses, network, two_images(job.data.train.shape), kept)


def recovered(job: Job, network: Network, ratio: float, supervision: Supervision) -> Network:
    """The network after every step of the recipe, which prune `ratio` of it in all."""
    task = Task(
        run=job.means,
        data=job.data,
        supervision=supervision,
        recover=job.recipe.recover,
        seed=job.recipe.seed,
        calibration_images=job.recipe.quantize.images,
        pruned=lambda network, share: _pruned(job, network, ratio * share, whole=ratio),
    )
    return run_steps(read_steps(job.recipe.steps), network, task)


def _pruned(job: Job, network: Network, ratio: float, *, whole: float) -> Network:
    """The network with this ratio of the original gone, or where that is a part of the `whole`, about as much."""
    with Students(job, network.architecture, network.weights, definition=network.definition) as students:
        if ratio < whole:
            # a part of the way may lie between two networks, or before the first
            ratio = max(level for level in students.levels() if level <= ratio)
        if ratio == 0:
            return network
        pruned = students.at(ratio)
    return pruned.model_copy(update={"sparse": network.sparse or pruned.sparse})
