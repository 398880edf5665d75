"""Quantisation-aware training for INT8: R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient
inference", 2018, arXiv:1806.08342, section 3.2.

The forward pass rounds weights and activations to INT8 and back, where the file's writer does (`values.rounding`); in
the backward pass, rounding is the identity within its range. Batch normalisation after a convolution scales whole
output channels, and so their symmetric scales: it need not be folded. What several layers read is one tensor of the
file, so it has one range. Ranges are initialised on training images, and the trained ones become those of the file.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgekd.errors import UnsupportedModelError
from edgekd.training.flow import Flow, Key, flow
from edgekd.training.rounding import RoundedActivation, RoundedWeight
from edgekd.values.defaults import images_at_once
from edgekd.values.network import output_of
from edgekd.values.rounding import Rounding
from edgekd.zoo.forward import run

_LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Rounded:
    """A model that simulates INT8."""

    activations: Mapping[str, RoundedActivation]
    """By the weight of the layer that reads them, or `output_of` the one that makes them."""

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Their present ranges."""
        return {name: activation.range for name, activation in self.activations.items()}


@contextmanager
def rounded(model: nn.Module, images: Tensor, rounding: Rounding, *, learned: bool) -> Iterator[Rounded]:
    """Within the block, the model simulates INT8; afterwards it is a plain model with the trained weights.

    Args:
        model: changed in place.
        images: some training images (B, C, H, W), for the activations' initial ranges.
        rounding: the file's.
        learned: whether the ranges of activations are learned; else they are observed.

    Raises:
        UnsupportedModelError: a hook of the model computes a layer's weight, so it can't be rounded.
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, _LAYERS)}
    _require_weights(model)
    training = model.training
    placing = _Placing(model.eval(), flow(model, images[:1]), rounding, learned)
    for layer in layers.values():
        parametrize.register_parametrization(layer, "weight", RoundedWeight())
    placing.layers(layers)
    _begin(model, placing.made, images)
    model.train(training)
    try:
        yield Rounded(placing.made)
    finally:
        for handle in placing.handles:
            handle.remove()
        for layer in layers.values():
            _unrounded(layer)
            for attribute in {"reads", "gives"} & {*layer._modules}:
                delattr(layer, attribute)


@dataclass(frozen=True)
class _Reads:
    """Rounds what a module reads. An object and no function, so that a copy of the model has a copy of it."""

    activation: RoundedActivation

    def __call__(self, module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.activation(given[0]), *given[1:]


@dataclass(frozen=True)
class _Gives:
    """Rounds what a module gives."""

    activation: RoundedActivation

    def __call__(self, module: nn.Module, given: tuple[Any, ...], output: Tensor) -> Tensor:
        return cast(Tensor, self.activation(output))


class _Placing:
    """Places the rounding of activations."""

    def __init__(self, model: nn.Module, seen: Flow, rounding: Rounding, learned: bool) -> None:
        self._model, self._seen, self._rounding, self._learned = model, seen, rounding, learned
        self.made: dict[str, RoundedActivation] = {}
        self.handles: list[Any] = []
        self._of: dict[Key, RoundedActivation] = {}

    def layers(self, layers: Mapping[str, nn.Module]) -> None:
        """Round what layers read, and what the rounding says of additions. A layer that isn't run is left out."""
        readers = {name: self._seen.reads[name][0] for name in layers if self._seen.reads.get(name)}
        for name, key in readers.items():
            layers[name].reads = self._activation(key)
            self.made[_weight(name)] = self._of[key]
        done = [place for key in self._added() if (place := self._added_one(key, readers))]
        for name, key in readers.items():
            if not any(key == rounded and name.startswith(inside) for rounded, inside in done):
                self.handles.append(layers[name].register_forward_pre_hook(_Reads(self._of[key])))

    def _activation(self, key: Key) -> RoundedActivation:
        if key not in self._of:
            self._of[key] = RoundedActivation(symmetric=self._rounding.symmetric, learned=self._learned)
        return self._of[key]

    def _added(self) -> list[Key]:
        """What additions read rounded, each once."""
        keys: dict[Key, None] = {}
        for addition in self._seen.additions:
            skip = self._seen.skip(addition)
            if self._rounding.additions != "none" and skip is not None:
                keys |= dict.fromkeys(addition if self._rounding.additions == "all" else addition[skip : skip + 1])
        return list(keys)

    def _added_one(self, key: Key, readers: Mapping[str, Key]) -> tuple[Key, str] | None:
        """Round a value that an addition reads for all that read it, or for all within one module. Gives the value and
        that module's name; None where no module can do it, or no layer makes or reads the value.
        """
        maker = self._seen.convolutions.get(key)
        if key not in readers.values() and maker is None:
            return None
        given = next((name for name, keys in self._seen.gives.items() if keys == (key,)), None)
        read = next((name for name, keys in self._seen.reads.items() if keys == (key,) and name), None)
        if given is None and read is None:
            return None
        activation = self._activation(key)
        if maker is not None:
            self._model.get_submodule(maker).gives = activation
            self.made[output_of(_weight(maker))] = activation
        if given is not None:
            self.handles.append(self._model.get_submodule(given).register_forward_hook(_Gives(activation)))
            return key, ""
        assert read is not None
        self.handles.append(self._model.get_submodule(read).register_forward_pre_hook(_Reads(activation)))
        return key, read


def _weight(layer: str) -> str:
    return f"{layer}.weight" if layer else "weight"


def _begin(model: nn.Module, activations: Mapping[str, RoundedActivation], images: Tensor) -> None:
    """Initialise the ranges of a model in evaluation mode."""
    for activation in activations.values():
        activation.begins = True
    with torch.no_grad():
        for part in torch.split(images, images_at_once(images.shape, 64)):
            run(model, part)
    for activation in activations.values():
        activation.begins = False


def _require_weights(model: nn.Module) -> None:
    for name, layer in model.named_modules():
        if isinstance(layer, _LAYERS) and "weight" not in layer._parameters and not _is_parametrised(layer):
            what = f"the step 'qat' can't round {name!r}: a hook computes its weight"
            hint = "Use torch.nn.utils.parametrizations instead of torch.nn.utils.weight_norm and spectral_norm."
            raise UnsupportedModelError(what, hint)


def _is_parametrised(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight")


def _unrounded(layer: nn.Module) -> None:
    """Remove the rounding, but keep the network's own parametrisations of the weight."""
    chain = cast(nn.ModuleList, cast(nn.ModuleDict, layer.parametrizations)["weight"])
    if len(chain) == 1:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    else:
        del chain[-1]
