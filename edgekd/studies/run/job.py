"""What every cell of a study works on, and the recipe of each."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from edgekd.pipeline.job import Job
from edgekd.recipe import recipe, settle
from edgekd.studies._results import Plan
from edgekd.values import Recipe, Target
from edgekd.values.defaults import Shape


@dataclass(frozen=True)
class StudyRun:
    """A study that is being run."""

    plan: Plan
    job: Job
    """Of no cell in particular: cells have recipes of their own."""

    def job_of(self, settings: Mapping[str, Any], seed: int) -> Job:
        """The job of an arm with these settings."""
        train = self.job.data.train
        return replace(
            self.job, recipe=recipe_of(self.plan, settings, seed, (len(train), *train.shape), self.job.target)
        )


def recipe_of(plan: Plan, settings: Mapping[str, Any], seed: int, train_images: Shape, target: Target) -> Recipe:
    """The recipe of an arm: its settings over those of the scale.

    Raises:
        EdgekdError: a setting isn't one of a recipe's.
    """
    scale = plan.scale
    given: dict[str, Any] = {
        "data": plan.data,
        "target": plan.target,
        "seed": seed,
        "teacher.epochs": scale.teacher_epochs,
        "teacher.batch_size": scale.batch_size,
        "teacher.learning_rate": scale.learning_rate_from_scratch,
        "recover.epochs": scale.epochs,
        "recover.batch_size": scale.batch_size,
        "recover.learning_rate": scale.learning_rate,
        # arms that read features can't be compiled, and all should train in the same arithmetic
        "recover.compiled": False,
        # what the scale leaves open is the target's
        "measure": scale.measure.model_dump(mode="json", exclude_unset=True),
    }
    return settle(recipe(None, {**given, **settings}), train_images)
