"""The teacher of an arm: trained once for a study, with the arithmetic that all of its students train in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgekd.data.dataset import Images
from edgekd.pipeline.classifier import require_classifier
from edgekd.pipeline.job import Job
from edgekd.pipeline.recover import random_student
from edgekd.pipeline.teacher import TeacherImages, supervision, teacher
from edgekd.store import fingerprint, remembered
from edgekd.studies.run.failures import outcome, value_of
from edgekd.studies.run.features import embeddings
from edgekd.studies.run.job import StudyRun
from edgekd.training.evaluate import evaluate
from edgekd.training.execution import choose_execution
from edgekd.training.objective import build_objective
from edgekd.training.stage import two_images
from edgekd.training.supervision import Supervision
from edgekd.values import Accuracy, Recipe, Recovery, Value, document
from edgekd.values.network import Network
from edgekd.values.training import Execution
from edgekd.zoo import networks
from edgekd.zoo.cost import nonzero

_WAYS = {"precision", "memory_format", "convolutions", "threads"}

TEST_IMAGES = 2000
"""Of which features are compared."""


class Tested(Value):
    """A network on the test set."""

    test: Accuracy
    nonzero: int


@dataclass(frozen=True)
class TrainedTeacher:
    """A teacher, and how its students learn."""

    model: nn.Module
    network: Network
    tested: Tested
    supervision: Supervision
    """By itself, or by the ensemble that it is in."""
    execution: Execution
    test: Images

    @cached_property
    def features(self) -> Tensor:
        """Its own of test images, as `features.embeddings` gives them."""
        return embeddings(self.model, self.test, TEST_IMAGES)[0]

    def recipe(self, stated: Recipe) -> Recipe:
        """The recipe of a student, in this arithmetic."""
        ways = self.execution.model_dump(exclude={"images_per_second"})
        return stated.model_copy(update={"recover": stated.recover.model_copy(update=ways)})


def trained_teacher(job: Job) -> TrainedTeacher:
    """The teacher of a job of seed 0; raises as `pipeline.classifier` and `pipeline.teacher`."""
    require_classifier(job.recipe, job.data)
    network = teacher(job.means, job.recipe, job.recipe.teacher, TeacherImages(job.data)).network
    model, own = networks.load(network), network.training.execution if network.training else None
    return TrainedTeacher(
        model=model,
        network=network,
        tested=tested(job, network, model),
        supervision=supervision(job.means, _alike(job.recipe, own), network, TeacherImages(job.data)),
        execution=_execution(job, model, own),
        test=job.data.test,
    )


def _alike(recipe: Recipe, execution: Execution | None) -> Recipe:
    """The recipe whose further teachers train in the first one's arithmetic: they have its architecture."""
    if execution is None:
        return recipe
    settings = recipe.teacher.model_copy(update=execution.model_dump(include=_WAYS))
    return recipe.model_copy(update={"teacher": settings})


def tested(job: Job, network: Network, model: nn.Module) -> Tested:
    """A network, which is at hand as `model`, on the test set, in fp32."""

    def build(_: Path) -> Tested:
        score = evaluate(model, job.data.test)
        test = Accuracy(correct=score.correct, images=score.images, dataset=job.data.name, split="test")
        return Tested(test=test, nonzero=nonzero(model))

    return job.run.stage("tested", {"network": network.key(), "data": [job.data.name, job.images]}, Tested, build)[0]


def _execution(job: Job, model: nn.Module, own: Execution | None) -> Execution:
    """The fastest arithmetic for a student of this teacher, timed once, distilling as edgekd does by default.

    A pruned student takes that of the network which it is pruned from, its teacher's own: arms that are compared should
    not differ by it.
    """
    recipe, settings = job.recipe, job.recipe.recover
    if own and not recipe.student:
        settings = settings.model_copy(update=own.model_dump(include=_WAYS))
    key = fingerprint({"teacher": job.architecture.identity, "student": recipe.student, "settings": settings})

    def timed() -> Execution:
        student = networks.load(random_student(job)) if recipe.student else job.network()
        objective = build_objective(Recovery().losses, student, model, two_images(job.data.train.shape))
        return choose_execution(student, job.data, settings, objective, model)

    return remembered(job.run.root / "execution" / f"{key[:12]}.json", Execution, timed)


@dataclass(frozen=True)
class Teachers:
    """The teachers of a study, each made when the first of its students comes."""

    run: StudyRun
    _known: dict[str, TrainedTeacher | Exception] = field(default_factory=dict)

    def of(self, settings: Mapping[str, Any]) -> TrainedTeacher:
        """The teacher of the arms with these settings; raises as `trained_teacher`, and the same error again."""
        job = self.run.job_of(settings, 0)
        own = {key: getattr(job.recipe, key) for key in ("model", "student", "weights", "teacher")}
        key = fingerprint({**own, "teachers": [document(teacher) for teacher in job.recipe.teachers]})
        if key not in self._known:
            self._known[key] = outcome(lambda: trained_teacher(job))
        return value_of(self._known[key])
