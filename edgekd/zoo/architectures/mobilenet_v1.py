"""MobileNetV1 (Howard et al., "MobileNets", arXiv 1704.04861, 2017), table 1, for small images.

The first convolution keeps the size instead of halving it, so 28 or 32 pixels end as 2x2 maps and 8 as 1x1.
With 10 classes and 3 channels it has 3,217,226 parameters.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from edgekd.zoo.architectures._base import conv_bn_relu, he_initialised, linear_head


def mobilenet_v1(*, classes: int, channels: int, width: float = 1.0, blocks512: int = 5) -> nn.Module:
    """MobileNetV1 with random weights.

    Args:
        classes: outputs.
        channels: of the images.
        width: the paper's width multiplier; widths are rounded to multiples of 8, and at least 8.
        blocks512: how often the block of 512 channels and stride 1 is repeated; 5 in the paper.
    """
    if not 0 < width <= 8:
        raise ValueError(f"width is above 0 and at most 8, not {width}")
    if not 0 <= blocks512 <= 100:
        raise ValueError(f"blocks512 is from 0 to 100, not {blocks512}")
    wide = partial(_rounded, width)
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * blocks512, (1024, 2), (1024, 1)]
    inputs = wide(32)
    blocks: list[nn.Module] = []
    for outputs, stride in plan:
        blocks.append(_separable(inputs, wide(outputs), stride))
        inputs = wide(outputs)
    network = nn.Sequential()
    network.add_module("stem", conv_bn_relu(channels, wide(32)))
    network.add_module("blocks", nn.Sequential(*blocks))
    network.add_module("head", linear_head(inputs, classes))
    return he_initialised(network)


def _rounded(width: float, outputs: int) -> int:
    return max(8, int(outputs * width + 4) // 8 * 8)


def _separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """A depthwise convolution of 3x3, then a pointwise one."""
    depthwise = conv_bn_relu(inputs, inputs, stride=stride, groups=inputs)
    return nn.Sequential(depthwise, conv_bn_relu(inputs, outputs, kernel=1))


MODELS: Mapping[str, Callable[..., nn.Module]] = {"mobilenet_v1": mobilenet_v1}
