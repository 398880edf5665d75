"""One cell of a study: an arm with one seed, trained, tested, and its features looked at."""

from dataclasses import dataclass, replace

from edgekd import catalog
from edgekd.deploy.writers._base import first_rounding
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.search import Searching
from edgekd.pipeline.student import Teaching, beginning, make_student
from edgekd.progress import Silent
from edgekd.store import fingerprint
from edgekd.studies._results import Cell
from edgekd.studies.run.arms import ArmRun
from edgekd.studies.run.projections import Projection, projected
from edgekd.studies.run.teachers import Tested, TrainedTeacher, tested
from edgekd.training.device import on_threads
from edgekd.values import Structure, Value
from edgekd.values.network import Network
from edgekd.zoo.definition import Definition


@dataclass(frozen=True)
class Made:
    """A cell with its network."""

    cell: Cell
    network: Network
    tested: Tested
    projection: Projection | None


def make(arm: ArmRun, teacher: TrainedTeacher, *, representations: bool) -> Made:
    """Take every step of the arm's recipe with its seed; raises whatever a step raises."""
    network = pruned_and_trained(replace(arm, recipe=teacher.recipe(arm.recipe)), teacher)
    with on_threads(teacher.execution.threads):
        found = tested(arm.run, network, arm.data)
        seen = projected(arm.run, network, teacher.network, arm.data) if representations else None
    assert network.accuracy is not None
    cell = Cell(
        seed=arm.recipe.seed,
        test=found.test,
        val=network.accuracy,
        training_seconds=seconds_of(network, teacher),
        representation=seen.representation if seen else None,
    )
    return Made(cell, network, found, seen)


def untrained(arm: ArmRun, teacher: TrainedTeacher) -> Network:
    """The student of the arm's recipe before any training, not repaired."""
    start = beginning(arm.run, arm.recipe, arm.data, teacher.network)
    structure = stated_structure(arm, start)
    return start if structure.is_whole else arm.pruner.pruned(start, structure)


def pruned_and_trained(arm: ArmRun, teacher: TrainedTeacher) -> Network:
    """What the steps of the arm's recipe come to."""
    start = beginning(arm.run, arm.recipe, arm.data, teacher.network)
    rounding = first_rounding(catalog.target(arm.recipe.target).variants)
    teaching = Teaching(arm.recipe, teacher.supervision, arm.pruner, rounding)
    return make_student(teaching, start, stated_structure(arm, start)).network


def stated_structure(arm: ArmRun, start: Network) -> Structure:
    """What the arm's recipe states that is removed from the network; nothing where it states nothing."""
    searching = Searching(arm.recipe, has_device=arm.device is not None)
    if not searching.is_stated:
        return Structure()
    candidates = NetworkCandidates(start, arm.pruner, arm.goal, arm.how)
    return searching.plan(candidates, (), Silent()).structure


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
