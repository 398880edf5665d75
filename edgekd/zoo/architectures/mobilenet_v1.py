"""MobileNetV1 (Howard et al., "MobileNets", arXiv 1704.04861, 2017), table 1, for small images.

The first convolution keeps the size instead of halving it, so 28 or 32 pixels end as 2x2 maps and 8 as 1x1.
With 10 classes and 3 channels it has 3,217,226 parameters.

Chou et al. (APSIPA Trans. 10:e18, 2021) distil a MobileNet of 16 layers into one of 9; which layers they count and drop
isn't known. Edgekd's choice: a separable block counts as one layer, the pool as another, so that this network has
1 + 13 + 1 + 1 = 16, and `mobilenet_v1:blocks128=0,blocks256=0,blocks512=0`, which repeats only the last block, has
1 + 6 + 1 + 1 = 9. With 1000 classes and 3 channels that is 1.51 times fewer parameters; theirs is 1.59 times.
"""

from collections.abc import Callable, Mapping
from functools import partial

from torch import nn

from edgekd.zoo.architectures._base import conv_bn_relu, he_initialised, linear_head


def mobilenet_v1(
    *,
    classes: int,
    channels: int,
    width: float = 1.0,
    blocks128: int = 1,
    blocks256: int = 1,
    blocks512: int = 5,
    blocks1024: int = 1,
) -> nn.Module:
    """MobileNetV1 with random weights.

    Args:
        classes: outputs.
        channels: of the images.
        width: the paper's width multiplier; widths are rounded to multiples of 8, and at least 8.
        blocks128: how often the block of 128 channels that keeps the shape is repeated; 1 in the paper.
        blocks256: the same for 256 channels; 1 in the paper.
        blocks512: the same for 512 channels; 5 in the paper.
        blocks1024: the same for 1024 channels; 1 in the paper.
    """
    if not 0 < width <= 8:
        raise ValueError(f"width must be above 0 and at most 8, not {width}")
    repeats = {128: blocks128, 256: blocks256, 512: blocks512, 1024: blocks1024}
    plan = [(64, 1)]
    for outputs, count in repeats.items():
        if not 0 <= count <= 100:
            raise ValueError(f"blocks{outputs} must be from 0 to 100, not {count}")
        plan += [(outputs, 2), *[(outputs, 1)] * count]
    wide = partial(_rounded, width)
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
