"""The definition of a pruned network, from which it is rebuilt without pickle: its architecture and layers' widths."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError, model_validator
from torch import nn

from edgekd.catalog import explain
from edgekd.errors import EdgekdError, StorageError, UnsupportedModelError
from edgekd.files import write_text
from edgekd.values import Fraction, PositiveInt, Value
from edgekd.zoo._widths import resize, widths
from edgekd.zoo.build import build
from edgekd.zoo.weights import load_weights

Layers = dict[str, dict[str, int]]

_OTHER_MODEL = "Give the model, with its parameters, that the definition was made from."


class Definition(Value):
    """A pruned network without its weights."""

    schema_version: Literal["edgekd.structure/2"] = "edgekd.structure/2"
    model: str
    """The name of the architecture that was pruned, as `zoo.build` takes it."""
    classes: PositiveInt
    channels: PositiveInt
    height: PositiveInt
    width: PositiveInt
    kept: dict[str, tuple[int, ...]]
    """Output channels of the original that are left, by each convolution and linear layer that was narrowed."""
    removed: tuple[str, ...] = ()
    """Paths of the blocks that were removed; what comes in goes through."""
    zeros: Fraction = 0.0
    """How many of the single weights were made zero, as a fraction."""
    layers: Layers

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, stated: Any) -> Any:
        """It said how the network was pruned, which nothing is rebuilt from."""
        if not isinstance(stated, dict) or stated.get("schema_version") != "edgekd.structure/1":
            return stated
        zeros = stated.get("ratio", 0.0) if stated.get("method") == "weights" else 0.0
        same = {key: value for key, value in stated.items() if key not in ("method", "ratio", "block")}
        return {**same, "schema_version": "edgekd.structure/2", "zeros": zeros}

    @classmethod
    def read(cls, path: Path) -> Self:
        """The definition in a JSON file.

        Raises:
            StorageError: the file can't be read.
            EdgekdError: it isn't a definition.
        """
        try:
            return cls.model_validate_json(path.read_bytes())
        except OSError as e:
            raise StorageError(
                f"{path}: {e.strerror or e}", "Give the path of a network's definition, such as student.json."
            ) from e
        except ValidationError as e:
            raise EdgekdError(*explain(e, str(path), cls)) from e

    def write(self, path: Path) -> None:
        """Write it as JSON, all or nothing.

        Raises:
            StorageError: the folder isn't writable or the disk is full.
        """
        write_text(path, self.model_dump_json(indent=1) + "\n")


def load_pruned(definition: Definition, weights: Path) -> nn.Module:
    """The pruned network with its weights, rebuilt from its architecture.

    Raises:
        UnsupportedModelError: the architecture isn't the definition's.
        EdgekdError: as `build` and `load_weights` raise.
    """
    size = (definition.height, definition.width)
    model = build(definition.model, classes=definition.classes, channels=definition.channels, size=size)
    prune_to(model, definition, weights)
    return model


def prune_to(model: nn.Module, definition: Definition, weights: Path) -> None:
    """Make the definition's network with its weights of its whole architecture, in place.

    Raises:
        UnsupportedModelError: the architecture isn't the definition's.
        EdgekdError: as `load_weights`.
    """
    remove_blocks(model, definition.removed)
    apply_layers(model, definition.layers)
    load_weights(model, weights)


def remove_blocks(model: nn.Module, paths: Iterable[str]) -> None:
    """Put an `nn.Identity` in the place of each of these submodules.

    Raises:
        UnsupportedModelError: the model has no such submodule.
    """
    for path in paths:
        try:
            model.get_submodule(path)
        except AttributeError as e:
            what = f"the definition isn't this model's: it has no block {path!r}"
            raise UnsupportedModelError(what, _OTHER_MODEL) from e
        model.set_submodule(path, nn.Identity())


def layers_of(model: nn.Module) -> Layers:
    """The widths of every layer that holds tensors, by its path in the model."""
    found = {path: widths(layer) for path, layer in model.named_modules()}
    return {path: sizes for path, sizes in found.items() if sizes}


def apply_layers(model: nn.Module, layers: Layers) -> None:
    """Give the model's layers these widths. A layer that changes gets new random weights.

    Raises:
        UnsupportedModelError: the model hasn't the same layers.
    """
    own = layers_of(model)
    odd = sorted(p for p in own.keys() | layers.keys() if own.get(p, {}).keys() != layers.get(p, {}).keys())
    if odd:
        what = f"the definition isn't this model's: {odd[0]!r}, first of {len(odd)}, isn't in both or of another kind"
        raise UnsupportedModelError(what, _OTHER_MODEL)
    for path, sizes in layers.items():
        if sizes != own[path]:
            resize(model.get_submodule(path), sizes)
