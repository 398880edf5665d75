"""MobileNetV2 (Sandler et al., "MobileNetV2", CVPR 2018, arXiv 1801.04381), table 2, for small images.

The first convolution and the first stage of 24 channels keep the size instead of halving it, as in kuangliu's
pytorch-cifar, so 32 pixels end as 4x4 maps. Edgekd's choice: no dropout. With 10 classes and 3 channels it has
2,236,682 parameters.
"""

from collections.abc import Callable, Mapping

from torch import nn

from edgekd.zoo.architectures._base import conv_bn, he_initialised, linear_head
from edgekd.zoo.architectures._inverted_residual import InvertedResidual, widths_times

# expansion, channels, blocks, stride of the first block
_STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def mobilenet_v2(*, classes: int, channels: int, width: float = 1.0) -> nn.Module:
    """MobileNetV2 with random weights.

    Args:
        classes: outputs.
        channels: of the images.
        width: the paper's width multiplier; the last convolution isn't narrowed below 1280 channels.
    """
    wide = widths_times(width)
    inputs = wide(32)
    network = nn.Sequential()
    network.add_module("stem", conv_bn(channels, inputs, activation=nn.ReLU6))
    for number, (expansion, outputs, blocks, stride) in enumerate(_STAGES, start=1):
        network.add_module(f"stage{number}", _stage(inputs, wide(outputs), stride, expansion=expansion, blocks=blocks))
        inputs = wide(outputs)
    last = widths_times(max(1.0, width))(1280)
    network.add_module("last", conv_bn(inputs, last, kernel=1, activation=nn.ReLU6))
    network.add_module("head", linear_head(last, classes))
    return he_initialised(network)


def _stage(inputs: int, outputs: int, stride: int, *, expansion: int, blocks: int) -> nn.Sequential:
    stage = nn.Sequential()
    for _ in range(blocks):
        hidden = inputs * expansion
        stage.append(InvertedResidual(inputs, hidden, outputs, stride=stride, activation=nn.ReLU6))
        inputs, stride = outputs, 1
    return stage


MODELS: Mapping[str, Callable[..., nn.Module]] = {"mobilenet_v2": mobilenet_v2}
