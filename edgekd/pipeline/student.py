"""The student: where it begins, and the recipe's steps from there."""

from dataclasses import dataclass
from functools import partial

from edgekd.data.dataset import Dataset
from edgekd.pipeline.prunable import Pruner
from edgekd.run import Run
from edgekd.steps._read import read_steps, trainings
from edgekd.steps._sequence import run_steps
from edgekd.steps._task import State, Task
from edgekd.steps._training import train
from edgekd.training.initial import initial
from edgekd.training.objective import require_losses as require
from edgekd.training.stage import Simulation, two_images
from edgekd.training.supervision import Supervision
from edgekd.values import Recipe, Structure
from edgekd.values.losses import HALF_AND_HALF
from edgekd.values.network import Network
from edgekd.values.rounding import Rounding
from edgekd.zoo import networks
from edgekd.zoo.reinitialize import another

_SLOWER = 10
"""What the learning rate is divided by where a trained network only gets used to INT8."""


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
        require(settings.losses or HALF_AND_HALF, network, two_images(data.train.shape), kept)


@dataclass(frozen=True)
class Teaching:
    """What the trainings of a student share."""

    recipe: Recipe
    supervision: Supervision
    """Who teaches."""
    pruner: Pruner
    rounding: Rounding
    """That quantisation-aware trainings simulate."""

    def task(self, start: Network, structure: Structure) -> Task:
        """The task of steps that prune `start` to that structure."""
        return Task(
            run=self.pruner.run,
            data=self.pruner.data,
            supervision=self.supervision,
            recover=self.recipe.recover,
            seed=self.recipe.seed,
            calibration_images=self.recipe.quantize.images,
            rounding=self.rounding,
            pruned=partial(_part, self.pruner, start, structure),
            teacher=self.recipe.teacher,
        )


def make_student(teaching: Teaching, start: Network, structure: Structure) -> State:
    """The network after every step of the recipe, pruned to the structure."""
    return run_steps(read_steps(teaching.recipe.steps), start, teaching.task(start, structure))


def trained_in_int8(teaching: Teaching, network: Network) -> Network:
    """A trained network after a short further training that simulates INT8."""
    recipe, record = teaching.recipe, network.training
    assert recipe.recover.epochs is not None, "a settled recipe states them"
    by = record.trained_by[-1] if record and record.trained_by else None
    losses = recipe.recover.losses or (by.losses if by and by.race else HALF_AND_HALF)
    lowered = record.learning_rate if record else None  # where the one before made the training diverge
    rate = lowered or recipe.recover.learning_rate or (by.learning_rate if by else recipe.teacher.learning_rate)
    assert rate is not None, "a settled recipe states the teacher's"
    chosen = {
        "epochs": max(1, round(recipe.quantize.recover_share * recipe.recover.epochs)),
        "learning_rate": rate / _SLOWER,
        "losses": losses,
    }
    state = State(
        network,
        int8=Simulation(recipe.quantize.images, teaching.rounding, learned=False),
        record=record,
    )
    settings, task = recipe.recover.model_copy(update=chosen), teaching.task(network, Structure())
    return train(settings, state, task, "qat").network


def _part(pruner: Pruner, start: Network, structure: Structure, network: Network, share: float) -> Network:
    return pruner.part(network, start, structure, share)
