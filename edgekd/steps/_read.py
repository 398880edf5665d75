"""Reads a recipe's steps: validates each table with its step's `Settings`, then the order of the steps."""

from collections.abc import Sequence

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.steps._base import STEPS, Stated
from edgekd.values import Recipe, Recovery, Step

_RENAMED = {"int8": "qat"}


def read_steps(stated: Sequence[Step], where: str = "the recipe") -> tuple[Stated, ...]:
    """The steps with their settings.

    Args:
        stated: the recipe's tables.
        where: the recipe's name in messages.

    Raises:
        EdgekdError: a step or setting is unknown, a value is out of range, or the order leaves a step without effect.
    """
    if not stated:
        raise EdgekdError(f"{where}: steps: at least one step is required", 'Add one, for example "distil".')
    found = tuple(_read(step, f"{where}: steps.{number}") for number, step in enumerate(stated))
    for number, step in enumerate(found):
        if why := step.module.misplaced(step.settings, found[:number], found[number + 1 :]):
            raise EdgekdError(f"{where}: steps.{number}: {why}", "Correct the order of the recipe's steps.")
    return found


def has_pruning(recipe: Recipe) -> bool:
    """Whether a step makes the network smaller."""
    return any(step.module.PRUNES for step in read_steps(recipe.steps))


def prune_shares(recipe: Recipe) -> list[float]:
    """The shares of the planned pruning that are done after each step that prunes, in order."""
    return [getattr(step.settings, "share", 1.0) for step in read_steps(recipe.steps) if step.module.PRUNES]


def trainings(recipe: Recipe) -> list[Recovery]:
    """The settings of all trainings, in order."""
    found = (step.module.training(step.settings, recipe.recover) for step in read_steps(recipe.steps))
    return [settings for settings in found if settings]


def _read(step: Step, where: str) -> Stated:
    if step.do in _RENAMED:
        new = _RENAMED[step.do]
        raise EdgekdError(f"{where}: the step {step.do!r} was renamed to {new!r}", f'Write "{new}".')
    if step.do not in catalog.names(STEPS):
        raise EdgekdError(f"{where}: no step {step.do!r}", catalog.nearest(step.do, catalog.names(STEPS)))
    module = catalog.load(STEPS, step.do)
    known = list(module.Settings.model_fields)
    for key in step.settings:
        if key not in known:
            raise EdgekdError(f"{where}: the step {step.do!r} has no setting {key!r}", _instead(step.do, key, known))
    try:
        return Stated(step.do, module, module.Settings.model_validate(step.settings))
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, f"{where} ({step.do})", module.Settings)) from e


def _instead(do: str, key: str, known: Sequence[str]) -> str:
    if not known:
        return f"Remove {key!r}: {do!r} has no settings."
    return f"Remove {key!r}, or use a setting of {do!r}: {', '.join(known)}."
