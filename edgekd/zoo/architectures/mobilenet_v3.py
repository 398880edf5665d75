"""MobileNetV3 (Howard et al., "Searching for MobileNetV3", ICCV 2019, arXiv 1905.02244), tables 1 and 2, small images.

Edgekd's choices: the first convolution and the first block that halves the map keep the size, as in our MobileNetV2, so
32 pixels end as 4x4 maps (in the small one that block gets a shortcut, since its shape now stays); batch norm has
PyTorch's momentum and epsilon; no dropout. With 10 classes and 3 channels the large one has 4,214,842 parameters, the
small one 1,528,106.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from torch import nn

from edgekd.zoo.architectures._base import conv_bn, he_initialised
from edgekd.zoo.architectures._inverted_residual import InvertedResidual, SqueezeExcitation, widths_times


class _Block(NamedTuple):
    kernel: int
    hidden: int
    outputs: int
    has_excitation: bool
    activation: Callable[..., nn.Module]
    stride: int


class _Plan(NamedTuple):
    blocks: tuple[_Block, ...]
    penultimate: int
    """Features before the last linear layer."""


_LARGE = _Plan(
    (
        _Block(3, 16, 16, False, nn.ReLU, 1),
        _Block(3, 64, 24, False, nn.ReLU, 1),  # 2 in the paper
        _Block(3, 72, 24, False, nn.ReLU, 1),
        _Block(5, 72, 40, True, nn.ReLU, 2),
        _Block(5, 120, 40, True, nn.ReLU, 1),
        _Block(5, 120, 40, True, nn.ReLU, 1),
        _Block(3, 240, 80, False, nn.Hardswish, 2),
        _Block(3, 200, 80, False, nn.Hardswish, 1),
        _Block(3, 184, 80, False, nn.Hardswish, 1),
        _Block(3, 184, 80, False, nn.Hardswish, 1),
        _Block(3, 480, 112, True, nn.Hardswish, 1),
        _Block(3, 672, 112, True, nn.Hardswish, 1),
        _Block(5, 672, 160, True, nn.Hardswish, 2),
        _Block(5, 960, 160, True, nn.Hardswish, 1),
        _Block(5, 960, 160, True, nn.Hardswish, 1),
    ),
    penultimate=1280,
)
_SMALL = _Plan(
    (
        _Block(3, 16, 16, True, nn.ReLU, 1),  # 2 in the paper
        _Block(3, 72, 24, False, nn.ReLU, 2),
        _Block(3, 88, 24, False, nn.ReLU, 1),
        _Block(5, 96, 40, True, nn.Hardswish, 2),
        _Block(5, 240, 40, True, nn.Hardswish, 1),
        _Block(5, 240, 40, True, nn.Hardswish, 1),
        _Block(5, 120, 48, True, nn.Hardswish, 1),
        _Block(5, 144, 48, True, nn.Hardswish, 1),
        _Block(5, 288, 96, True, nn.Hardswish, 2),
        _Block(5, 576, 96, True, nn.Hardswish, 1),
        _Block(5, 576, 96, True, nn.Hardswish, 1),
    ),
    penultimate=1024,
)


def _mobilenet_v3(plan: _Plan, *, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """MobileNetV3 with random weights; `width` is the paper's width multiplier, of every layer."""
    wide = widths_times(width)
    inputs = wide(16)
    network = nn.Sequential()
    network.add_module("stem", conv_bn(channels, inputs, activation=nn.Hardswish))
    blocks = nn.Sequential()
    for block in plan.blocks:
        blocks.append(_inverted_residual(inputs, wide(block.hidden), wide(block.outputs), block))
        inputs = wide(block.outputs)
    network.add_module("blocks", blocks)
    network.add_module("last", conv_bn(inputs, 6 * inputs, kernel=1, activation=nn.Hardswish))
    network.add_module("head", _head(6 * inputs, wide(plan.penultimate), classes))
    return he_initialised(network)


def _inverted_residual(inputs: int, hidden: int, outputs: int, block: _Block) -> InvertedResidual:
    excitation = None
    if block.has_excitation:
        squeezed = widths_times(1.0)(hidden // 4)
        excitation = SqueezeExcitation(hidden, squeezed, activation=nn.ReLU, gate=nn.Hardsigmoid)
    return InvertedResidual(
        inputs,
        hidden,
        outputs,
        kernel=block.kernel,
        stride=block.stride,
        activation=block.activation,
        excitation=excitation,
    )


def _head(features: int, penultimate: int, classes: int) -> nn.Sequential:
    """The paper's efficient last stage: what is left of its layers works on the pooled features."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(features, penultimate),
        nn.Hardswish(inplace=True),
        nn.Linear(penultimate, classes),
    )


MODELS: Mapping[str, Callable[..., nn.Module]] = {
    "mobilenet_v3_small": partial(_mobilenet_v3, _SMALL),
    "mobilenet_v3_large": partial(_mobilenet_v3, _LARGE),
}
