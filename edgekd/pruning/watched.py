"""Which layers of a network can be fitted to given outputs, found by running it once."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.pruning.least_squares import Layer


@dataclass(frozen=True)
class Watched:
    """A convolution or linear layer that runs once."""

    layer: Layer
    size: tuple[int, ...]
    """Height and width of a convolution's output; nothing of a linear layer."""
    positions: int
    """Of one image."""
    norm: str | None = None
    """The batch norm that reads what it gives."""


def watched(model: nn.Module, image: Tensor) -> dict[str, Watched]:
    """The layers that can be fitted, by name, in the order in which they run: convolutions and linear layers with
    weights of their own that run once an image.

    Args:
        model: in evaluation mode.
        image: one input (1, C, H, W).
    """
    watch, uses = _Watch(), _uses(model)
    with ExitStack() as stack, torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, Layer):
                stack.callback(layer.register_forward_hook(partial(watch.gave, name)).remove)
            elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
                stack.callback(layer.register_forward_pre_hook(partial(watch.norm_reads, name)).remove)
        model(image)
    return {n: s for n, s in watch.found.items() if watch.runs[n] == 1 and _can_be_fitted(s.layer, uses)}


@dataclass
class _Watch:
    runs: dict[str, int] = field(default_factory=dict)
    found: dict[str, Watched] = field(default_factory=dict)
    given: dict[int, tuple[str, Tensor, int]] = field(default_factory=dict)
    """By the id of a tensor: the layer that gave it, itself, and its version."""

    def gave(self, name: str, layer: Layer, args: tuple[Any, ...], output: Tensor) -> None:
        self.runs[name] = self.runs.get(name, 0) + 1
        if args:
            size = tuple(output.shape[2:]) if isinstance(layer, nn.Conv2d) else ()
            self.found[name] = Watched(layer, size, output.numel() // len(layer.weight))
            self.given[id(output)] = name, output, output._version

    def norm_reads(self, name: str, norm: nn.Module, args: tuple[Any, ...]) -> None:
        if args and id(args[0]) in self.given:
            source, output, version = self.given[id(args[0])]
            # an activation in place gives the same tensor in another version
            if output._version == version:
                self.found[source] = replace(self.found[source], norm=name)


def _can_be_fitted(layer: Layer, uses: Mapping[int, int]) -> bool:
    # a weight that is computed from others can't be set
    own = layer._parameters.get("weight")
    return own is not None and uses[id(own)] == 1


def _uses(model: nn.Module) -> dict[int, int]:
    """How many layers have each parameter, by its id."""
    counts: dict[int, int] = {}
    for layer in model.modules():
        for parameter in layer._parameters.values():
            counts[id(parameter)] = counts.get(id(parameter), 0) + 1
    return counts
