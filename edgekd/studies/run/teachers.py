"""The teacher of an arm: trained once for a study, with the arithmetic that all of its students train in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgekd.data.dataset import Dataset
from edgekd.pipeline.classifier import require_classifier
from edgekd.pipeline.student import beginning
from edgekd.pipeline.teacher import TeacherImages, supervision, teacher
from edgekd.run import Run, Workspace
from edgekd.store import cache_key, remembered
from edgekd.studies.run.arms import ArmRun, StudyRun
from edgekd.studies.run.failures import outcome, value_of
from edgekd.training.evaluate import evaluate
from edgekd.training.execution import choose_execution
from edgekd.training.objective import build_objective
from edgekd.training.setup import Setup
from edgekd.training.stage import two_images
from edgekd.training.supervision import Supervision
from edgekd.values import Accuracy, Recipe, Value, document
from edgekd.values.losses import HALF_AND_HALF
from edgekd.values.network import Network
from edgekd.values.training import Execution
from edgekd.zoo import networks
from edgekd.zoo.cost import nonzero

_WAYS = {"precision", "memory_format", "convolutions", "threads"}


class Tested(Value):
    """A network on the test set."""

    test: Accuracy
    nonzero: int


@dataclass(frozen=True)
class TrainedTeacher:
    """A teacher, and how its students learn."""

    network: Network
    tested: Tested
    supervision: Supervision
    """By itself, or by the ensemble that it is in."""
    execution: Execution

    def recipe(self, stated: Recipe) -> Recipe:
        """The recipe of a student, in this arithmetic."""
        ways = self.execution.model_dump(exclude={"images_per_second"})
        return stated.model_copy(update={"recover": stated.recover.model_copy(update=ways)})


def trained_teacher(arm: ArmRun) -> TrainedTeacher:
    """The teacher of an arm of seed 0; raises as `pipeline.classifier` and `pipeline.teacher`."""
    run, recipe, images = arm.run, arm.recipe, TeacherImages(arm.data)
    require_classifier(recipe, arm.data)
    network = teacher(run, recipe, recipe.teacher, images).network
    own = network.training.execution if network.training else None
    return TrainedTeacher(
        network=network,
        tested=tested(run, network, arm.data),
        supervision=supervision(run, _alike(recipe, own), network, images),
        execution=_execution(arm, network, own),
    )


def _alike(recipe: Recipe, execution: Execution | None) -> Recipe:
    """The recipe whose further teachers train in the first one's arithmetic: they have its architecture."""
    if execution is None:
        return recipe
    settings = recipe.teacher.model_copy(update=execution.model_dump(include=_WAYS))
    return recipe.model_copy(update={"teacher": settings})


@dataclass(frozen=True)
class _Testing:
    network: Network
    data: Dataset
    dataset: str
    """What the images are called."""


def tested(run: Run, network: Network, data: Dataset) -> Tested:
    """A network on the test set, in fp32."""
    return run.stage("tested", _Testing(network, data, data.name), _tested)


def _tested(inputs: _Testing, at: Workspace) -> Tested:
    model = networks.load(inputs.network)
    score = evaluate(model, inputs.data.test)
    test = Accuracy(correct=score.correct, images=score.images, dataset=inputs.dataset, split="test")
    return Tested(test=test, nonzero=nonzero(model))


def _execution(arm: ArmRun, teacher: Network, own: Execution | None) -> Execution:
    """The fastest arithmetic for a student of this teacher, timed once, distilling as edgekd does by default.

    A pruned student takes that of the network which it is pruned from, its teacher's own: arms that are compared should
    not differ by it.
    """
    recipe, settings = arm.recipe, arm.recipe.recover
    if own and not recipe.student:
        settings = settings.model_copy(update=own.model_dump(include=_WAYS))
    key = cache_key({"teacher": teacher.architecture.key(), "student": recipe.student, "settings": settings})

    def timed() -> Execution:
        student = networks.load(beginning(arm.run, recipe, arm.data, teacher))
        model = networks.load(teacher)
        objective = build_objective(HALF_AND_HALF, student, model, two_images(arm.data.train.shape))
        return choose_execution(Setup(student, objective, arm.data, settings, 0, model))

    return remembered(arm.run.store.root / "execution" / f"{key[:12]}.json", Execution, timed)


@dataclass(frozen=True)
class Teachers:
    """The teachers of a study, each made when the first of its students comes."""

    run: StudyRun
    _known: dict[str, TrainedTeacher | Exception] = field(default_factory=dict)

    def of(self, settings: Mapping[str, Any]) -> TrainedTeacher:
        """The teacher of the arms with these settings; raises as `trained_teacher`, and the same error again."""
        arm = self.run.arm(settings, 0)
        own = {key: getattr(arm.recipe, key) for key in ("model", "student", "weights", "teacher")}
        key = cache_key({**own, "teachers": [document(teacher) for teacher in arm.recipe.teachers]})
        if key not in self._known:
            self._known[key] = outcome(lambda: trained_teacher(arm))
        return value_of(self._known[key])
