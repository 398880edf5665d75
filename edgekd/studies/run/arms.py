"""What every arm of a study is run with, and the recipe of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekd.data.dataset import Dataset
from edgekd.devices._base import Device
from edgekd.gate import budget as budgets
from edgekd.pipeline.deployment import Deployment, deployment
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.prunable import Pruner
from edgekd.recipe import recipe, settle
from edgekd.run import Run
from edgekd.studies._results import Plan
from edgekd.values import Recipe, Target
from edgekd.values.defaults import Shape


@dataclass(frozen=True)
class ArmRun:
    """An arm's recipe with one seed, and what it is run with."""

    recipe: Recipe
    run: Run
    target: Target
    data: Dataset
    device: Device | None
    """None: there is no device of the target's kind, so nothing is measured."""

    @property
    def goal(self) -> Goal:
        """How its latency is measured; no study judges a budget."""
        return Goal(budgets.load(self.recipe.budget), self.target, self.device, self.recipe.measure)

    @property
    def how(self) -> Deployment:
        """How its networks become artifacts."""
        return deployment(self.recipe, self.target, self.data, self.goal.facts)

    @property
    def pruner(self) -> Pruner:
        """How its networks are pruned."""
        return Pruner(self.run, self.data, self.recipe.prune, self.target.channel_block)


@dataclass(frozen=True)
class StudyRun:
    """A study that is being run."""

    plan: Plan
    run: Run
    target: Target
    data: Dataset
    device: Device | None

    def arm(self, settings: Mapping[str, Any], seed: int) -> ArmRun:
        """The arm with these settings."""
        shape = (len(self.data.train), *self.data.train.shape)
        recipe = recipe_of(self.plan, settings, seed, shape, self.target)
        return ArmRun(recipe, self.run, self.target, self.data, self.device)


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
