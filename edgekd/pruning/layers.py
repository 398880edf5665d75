"""The convolutions and linear layers of a network: their widths by its channel groups, and what decides their times."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.pruning.cut import is_depthwise
from edgekd.pruning.graph import LAYERS, Group, inputs_of, outputs_of
from edgekd.pruning.space import Layer

_Sides = dict[str, dict[str, int]]


def layers_of(model: nn.Module, example: Tensor, groups: Sequence[Group]) -> tuple[Layer, ...]:
    """The layers of a network that run, in the order of its modules.

    Args:
        model: in eval mode; not changed.
        example: one input (1, C, H, W).
        groups: its channel groups.
    """
    sides: dict[nn.Module, _Sides] = {}
    for group in groups:
        for member in group.members:
            if isinstance(member.layer, LAYERS):
                counts = sides.setdefault(member.layer, {"in": {}, "out": {}})
                counts[member.side][group.root] = len(set(member.channels))
    sizes = _sizes(model, example)
    return tuple(
        _layer(name, layer, sides.get(layer, {"in": {}, "out": {}}), sizes[name])
        for name, layer in model.named_modules()
        if name in sizes
    )


def _layer(name: str, layer: nn.Module, sides: _Sides, size: tuple[int, ...]) -> Layer:
    depthwise = is_depthwise(layer)
    # of a depthwise convolution only one side is named
    inputs = sides["in"] or (sides["out"] if depthwise else {})
    outputs = sides["out"] or (sides["in"] if depthwise else {})
    return Layer(
        name=name,
        kind=_kind(layer, size),
        positions=max(1, torch.Size(size).numel()),
        depthwise=depthwise,
        inputs=inputs_of(layer),
        outputs=outputs_of(layer),
        inputs_of=inputs,
        outputs_of=outputs,
    )


def _kind(layer: nn.Module, size: tuple[int, ...]) -> str:
    if isinstance(layer, nn.Linear):
        return "linear"
    assert isinstance(layer, nn.modules.conv._ConvNd)
    what = "depthwise" if is_depthwise(layer) else f"{layer.groups} groups" if layer.groups > 1 else "dense"
    shape = f"kernel {_by(layer.kernel_size)} stride {_by(layer.stride)} dilation {_by(layer.dilation)}"
    return f"{type(layer).__name__} {what} {shape} to {_by(size)}"


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))


def _sizes(model: nn.Module, example: Tensor) -> dict[str, tuple[int, ...]]:
    """The size of the map that each layer gives, where it runs; that of a linear layer is ()."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, output: Tensor) -> None:
        found[name] = tuple(output.shape[2:]) if output.dim() > 2 else ()

    handles = [
        layer.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, layer in model.named_modules()
        if isinstance(layer, LAYERS)
    ]
    try:
        with torch.inference_mode():
            model(example)
    finally:
        for handle in handles:
            handle.remove()
    return found
