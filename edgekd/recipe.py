"""Recipes: read one, change it by what the command line says, settle what was left open, write it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.files import require_utf8
from edgekd.steps._base import Stated
from edgekd.steps._read import read_steps
from edgekd.values import Recipe, Recovery, Value, document
from edgekd.values.defaults import Shape, training_for

DEFAULTS = {"model": "mobilenet_v1:width=0.5", "data": "digits"}


def recipe(path: Path | None, given: Mapping[str, Any]) -> Recipe:
    """The recipe of a file (if any), with what was given on the command line in its place, over the defaults.

    Args:
        path: a TOML file that may state any part of a recipe.
        given: values by dotted key such as "search.ratio"; None means not given.

    Raises:
        EdgekdError: the file can't be read, or a key or value isn't one of a recipe's.
    """
    read = catalog.toml_keys(path, "Give the path of a recipe, such as RUN/recipe.toml.") if path else {}
    stated: dict[str, Any] = {**DEFAULTS, **read}
    if isinstance(stated["data"], str):
        stated["data"] = {"source": stated["data"]}
    where = str(path or "command line")
    _refuse_old(stated, where)
    _put_all(stated, given)
    if "target" not in stated:
        raise EdgekdError("no target", "Give --target; `edgekd targets` lists them.")
    stated.setdefault("budget", catalog.target(stated["target"]).default_budget)
    for key in ("target", "budget"):
        if isinstance(stated[key], str) and (file := catalog.as_path(stated[key])):
            stated[key] = str(file.absolute())  # the run's recipe and commands are used in its folder
    try:
        made = Recipe.model_validate(stated)
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, where, Recipe)) from e
    steps = read_steps(made.steps, where)
    if "steps" in read and given.get("recover.epochs") is not None:
        _require_open_epochs(steps, made.recover)
    return _in_any_folder(made)


def _in_any_folder(recipe: Recipe) -> Recipe:
    """With absolute paths of weights: the run's recipe is used in its folder."""
    teachers = tuple(
        one.model_copy(update={"weights": str(Path(one.weights).absolute())}) if one.weights else one
        for one in recipe.teachers
    )
    weights = str(Path(recipe.weights).absolute()) if recipe.weights else None
    return recipe.model_copy(update={"weights": weights, "teachers": teachers})


_CRITERIA = {
    "widthwise": '"l1"',
    "filters": '"filter_l1"',
    "channels": '"bn_scale", "l2" or "taylor"',
    "layerwise": '"position", "influence" or "latency"',
    "weights": '"magnitude" or "two_of_four"',
}


def _refuse_old(stated: Mapping[str, Any], where: str) -> None:
    """Raises EdgekdError, which says what to write, where a recipe of an earlier version has another name for it."""
    if "tutors" in stated:
        raise EdgekdError(f"{where}: 'tutors' is now called 'teachers'", "Write teachers = …; its tables are the same.")
    prune = stated.get("prune")
    if not isinstance(prune, dict):
        return
    for key in ("ratio", "keep", "margin"):
        if key in prune:
            hint = f'Write it as [search] {key} = … ; see docs/recipes.md, "Pruning".'
            raise EdgekdError(f"{where}: prune.{key} is search.{key} now", hint)
    if "method" in prune:
        method = prune["method"]
        known = _CRITERIA.get(method) if isinstance(method, str) else None
        what = f"criterion = {known}" if known else "a criterion"
        hint = (
            f'For {method!r}, write [prune] {what}, and scope under [search.options]; see docs/recipes.md, "Pruning".'
        )
        raise EdgekdError(f"{where}: prune.method is prune.criterion now", hint)


def _put_all(stated: dict[str, Any], given: Mapping[str, Any]) -> None:
    search = stated.get("search")
    if given.get("search.ratio") is not None and isinstance(search, dict):
        # it takes the place of all that the file says of how much goes
        stated["search"] = {key: value for key, value in search.items() if key not in ("method", "structure")}
    for key, value in given.items():
        if value is not None:
            if isinstance(value, str):
                require_utf8(key, value)
            _put(stated, key, value)


def _require_open_epochs(steps: Sequence[Stated], recover: Recovery) -> None:
    """Raises EdgekdError if all steps that train state their own epochs, so that given ones would have no effect."""
    trained = [step.settings for step in steps if step.module.training(step.settings, recover)]
    if trained and all(getattr(settings, "epochs", None) is not None for settings in trained):
        raise EdgekdError("--epochs: the recipe's steps state their own epochs", "Change them there, or leave it out.")


def _put(stated: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = stated.get(part, {})
        if not isinstance(inner, dict):
            return  # it is not a table in the recipe, which is reported when the recipe is validated
        stated[part] = dict(inner)
        stated = stated[part]
    stated[last] = value


def settle(stated: Recipe, train_images: Shape) -> Recipe:
    """The recipe with every number filled in that was left to the training images (N, C, H, W)."""
    settled: dict[str, Value] = {
        part: training_for(settings, train_images)
        for part, settings in (("teacher", stated.teacher), ("recover", stated.recover))
    }
    return stated.model_copy(update=settled)


def to_toml(settled: Recipe) -> str:
    """The recipe as a TOML file that `--recipe` reads."""
    import tomli_w

    return tomli_w.dumps(_without_none(document(settled)))


def _without_none(tree: Any) -> Any:
    """TOML has no null: what is absent is None."""
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    return [_without_none(value) for value in tree] if isinstance(tree, list) else tree
