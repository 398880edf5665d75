"""The student: where it begins, and the recipe's steps from there."""

from edgekd.pipeline.job import Job
from edgekd.pipeline.prunable import prune
from edgekd.steps._read import read_steps, trainings
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import Task
from edgekd.training.initial import initial
from edgekd.training.objective import require_losses as require
from edgekd.training.stage import two_images
from edgekd.training.supervision import Supervision
from edgekd.values import Structure
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


def recovered(job: Job, start: Network, structure: Structure, supervision: Supervision) -> Network:
    """The network after every step of the recipe, which take out of it what the structure says."""
    task = Task(
        run=job.means,
        data=job.data,
        supervision=supervision,
        recover=job.recipe.recover,
        seed=job.recipe.seed,
        calibration_images=job.recipe.quantize.images,
        pruned=lambda network, share: prune(job, network, start, structure, share),
    )
    return run_steps(read_steps(job.recipe.steps), start, task)
