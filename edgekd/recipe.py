"""Recipes: read one, change it by what the command line says, settle what was left open, write it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.files import require_utf8
from edgekd.values import Recipe, Recovery, Step, Training, Value, document

DEFAULTS = {"model": "mobilenet_v1:width=0.5", "data": "digits"}
_PIXELS, _FEWEST = 32 * 224 * 224, 8
"""Of images that go through a network at once. A training step of torchvision:mobilenet_v3_small takes 0.6 GB for so
many; four times as many don't fit into a container of 2 GB.
"""
Shape = tuple[int, ...]
T = TypeVar("T", bound=Training)


def recipe(path: Path | None, given: Mapping[str, Any]) -> Recipe:
    """The recipe of a file (if any), with what was given on the command line in its place, over the defaults.

    Args:
        path: a TOML file that may state any part of a recipe.
        given: values by dotted key such as "prune.ratio"; None means not given.

    Raises:
        EdgekdError: the file can't be read, or a key or value isn't one of a recipe's.
    """
    read = catalog.toml_keys(path, "Give the path of a recipe, such as RUN/recipe.toml.") if path else {}
    stated: dict[str, Any] = {**DEFAULTS, **read}
    if isinstance(stated["data"], str):
        stated["data"] = {"source": stated["data"]}
    for key, value in given.items():
        if value is not None:
            if isinstance(value, str):
                require_utf8(key, value)
            _put(stated, key, value)
    if "target" not in stated:
        raise EdgekdError("no target", "Give --target; `edgekd targets` lists them.")
    stated.setdefault("budget", catalog.target(stated["target"]).default_budget)
    try:
        return Recipe.model_validate(stated)
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, str(path or "command line"), Recipe)) from e


def _put(stated: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        inner = stated.get(part, {})
        if not isinstance(inner, dict):
            return  # the recipe says something else than a table there, which is told as what is wrong
        stated[part] = dict(inner)
        stated = stated[part]
    stated[last] = value


def default_epochs(train_images: int) -> int:
    """Epochs for a data set of this size: about 600,000 images seen, but 3 to 30 epochs."""
    return min(30, max(3, round(600_000 / max(1, train_images))))


def images_at_once(shape: Shape, most: int) -> int:
    """How many images of a shape that ends in (H, W) go through a network at once: `most` where they are small, else a
    power of two, 8 or more, that keeps memory within bounds.
    """
    *_, height, width = shape
    fitting = max(_FEWEST, _PIXELS // (height * width))
    return min(most, 1 << (fitting.bit_length() - 1))


def training_for(settings: T, train_images: Shape) -> T:
    """The settings with the numbers filled in that were left to the training images (N, C, H, W)."""
    chosen = {
        "epochs": settings.epochs or default_epochs(train_images[0]),
        "batch_size": settings.batch_size or images_at_once(train_images, 128),
    }
    return settings.model_copy(update=chosen)


def settle(stated: Recipe, train_images: Shape) -> Recipe:
    """The recipe with every number filled in that was left to the training images (N, C, H, W)."""
    settled: dict[str, Value] = {
        part: training_for(settings, train_images)
        for part, settings in (("teacher", stated.teacher), ("recover", stated.recover))
    }
    return stated.model_copy(update=settled)


def settings_of(recipe: Recipe, step: Step) -> Recovery:
    """How a step trains."""
    stated = {name: getattr(step, name) for name in ("epochs", "learning_rate", "losses")}
    labels = {"losses": {"ce": {"weight": 1.0}}} if step.do == "finetune" else {}
    return recipe.recover.model_copy(update={**labels, **{k: v for k, v in stated.items() if v is not None}})


def to_toml(settled: Recipe) -> str:
    """The recipe as a TOML file that `--recipe` reads."""
    import tomli_w

    return tomli_w.dumps(_without_none(document(settled)))


def _without_none(tree: Any) -> Any:
    """TOML has no null: what is absent is None."""
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    return [_without_none(value) for value in tree] if isinstance(tree, list) else tree
