"""One cell of a study: an arm with one seed, trained, tested, and its features looked at."""

from dataclasses import dataclass, replace

from edgekd.pipeline.candidates import NetworkBench
from edgekd.pipeline.job import Job
from edgekd.pipeline.planning import planned
from edgekd.pipeline.recover import random_student, recovered
from edgekd.steps._read import read_steps
from edgekd.store import fingerprint
from edgekd.studies._results import Cell
from edgekd.studies.run.projections import Projection, projected
from edgekd.studies.run.teachers import Tested, TrainedTeacher, tested
from edgekd.training.step import on_threads
from edgekd.values import Structure, Value
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition


@dataclass(frozen=True)
class Made:
    """A cell with its network."""

    cell: Cell
    network: Network
    tested: Tested
    projection: Projection | None


def make(job: Job, teacher: TrainedTeacher, *, representations: bool) -> Made:
    """Take every step of the job's recipe with its seed; raises whatever a step raises."""
    own = replace(job, recipe=teacher.recipe(job.recipe))
    network = pruned_and_trained(own, teacher)
    model = networks.load(network)
    with on_threads(teacher.execution.threads):
        found = tested(own, network, model)
        seen = projected(own, network, model, teacher) if representations else None
    assert network.accuracy is not None
    cell = Cell(
        seed=own.recipe.seed,
        test=found.test,
        val=network.accuracy,
        training_seconds=seconds_of(network, teacher),
        representation=seen.representation if seen else None,
    )
    return Made(cell, network, found, seen)


def untrained(job: Job, teacher: TrainedTeacher) -> Network:
    """The student of the job's recipe as it is before any training."""
    stated = zip(job.recipe.steps, read_steps(job.recipe.steps), strict=True)
    steps = tuple(step for step, found in stated if found.module.PRUNES)
    own = replace(job, recipe=teacher.recipe(job.recipe).model_copy(update={"steps": steps}))
    return pruned_and_trained(own, teacher)


def pruned_and_trained(job: Job, teacher: TrainedTeacher) -> Network:
    """What the steps of the job's recipe come to."""
    start = beginning(job, teacher)
    return recovered(job, start, stated_structure(job, start), teacher.supervision)


def stated_structure(job: Job, start: Network) -> Structure:
    """What the job's recipe states that is taken out of the network; nothing where it states nothing."""
    settings = job.recipe.search
    if settings.ratio is None and settings.structure is None:
        return Structure()
    return planned(job, NetworkBench(job, start, None), ()).structure


def beginning(job: Job, teacher: TrainedTeacher) -> Network:
    """The network before the first step: the recipe's student with random weights, else the teacher."""
    return random_student(job) if job.recipe.student else teacher.network


def seconds_of(network: Network, teacher: TrainedTeacher) -> float:
    """What a student's trainings took; nothing where it is the teacher itself, pruned or not."""
    own = network.training if network.weights != teacher.network.weights else None
    return round(own.seconds, 2) if own else 0.0


class _Shape(Value):
    model: str
    layers: dict[str, dict[str, int]] | None = None
    removed: tuple[str, ...] = ()
    zeros: float = 0.0


def structure_key(network: Network) -> str:
    """The same for networks that differ by their weights alone: they cost the same."""
    shape = _Shape(model=network.architecture.model)
    if network.definition:
        found = Definition.read(network.definition.path)
        shape = shape.model_copy(update={"layers": found.layers, "removed": found.removed, "zeros": found.zeros})
    return fingerprint({"structure": shape})[:12]
