"""EfficientNet (Tan & Le, "EfficientNet", ICML 2019, arXiv 1905.11946), table 1, for small images.

The first convolution keeps the size instead of halving it, as in kuangliu's pytorch-cifar, so 32 pixels end as 2x2
maps. Edgekd's choice: no dropout and no stochastic depth. With 10 classes and 3 channels efficientnet_b0 has
4,020,358 parameters.
"""

import math
from collections.abc import Callable, Mapping

from torch import nn

from edgekd.zoo.architectures._base import conv_bn, he_initialised, linear_head
from edgekd.zoo.architectures._inverted_residual import InvertedResidual, SqueezeExcitation, widths_times

# expansion, kernel, channels, blocks, stride of the first block
_STAGES = [
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
]


def efficientnet_b0(*, classes: int, channels: int, width: float = 1.0, depth: float = 1.0) -> nn.Module:
    """EfficientNet with random weights.

    Args:
        classes: outputs.
        channels: of the images.
        width: the paper's width coefficient.
        depth: the paper's depth coefficient: how many times the blocks a stage has, rounded up.
    """
    wide = widths_times(width)
    if not 0 < depth <= 8:
        raise ValueError(f"depth must be above 0 and at most 8, not {depth}")
    inputs = wide(32)
    network = nn.Sequential()
    network.add_module("stem", conv_bn(channels, inputs, activation=nn.SiLU))
    for number, (expansion, kernel, outputs, repeats, stride) in enumerate(_STAGES, start=1):
        stage = nn.Sequential()
        for i in range(math.ceil(repeats * depth)):
            stage.append(_block(inputs, wide(outputs), expansion, kernel, stride=1 if i else stride))
            inputs = wide(outputs)
        network.add_module(f"stage{number}", stage)
    network.add_module("last", conv_bn(inputs, wide(1280), kernel=1, activation=nn.SiLU))
    network.add_module("head", linear_head(wide(1280), classes))
    return he_initialised(network)


def _block(inputs: int, outputs: int, expansion: int, kernel: int, *, stride: int) -> InvertedResidual:
    hidden = inputs * expansion
    # a quarter of the block's inputs, not of the channels that it scales: so in the authors' code
    excitation = SqueezeExcitation(hidden, inputs // 4, activation=nn.SiLU, gate=nn.Sigmoid)
    return InvertedResidual(
        inputs, hidden, outputs, kernel=kernel, stride=stride, activation=nn.SiLU, excitation=excitation
    )


MODELS: Mapping[str, Callable[..., nn.Module]] = {"efficientnet_b0": efficientnet_b0}
