"""DenseNet-BC for small images (Huang et al., "Densely Connected Convolutional Networks", CVPR 2017, section 4).

Three dense blocks; depth = 6 x layers a block + 4, each layer a bottleneck of 1x1 and 3x3 convolutions, activations
first. Between the blocks the channels are halved. Edgekd's choice: no dropout. With 10 classes, 3 channels and the
growth of 12, densenet_bc100 has 769,162 parameters, densenet_bc40 has 176,122.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from edgekd.zoo.architectures._base import he_initialised, linear_head


class Layer(nn.Module):
    """Passes its input on, with `growth` channels more that it computes from all of it."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.bottleneck = _bn_relu_conv(inputs, 4 * growth, kernel=1)
        self.grow = _bn_relu_conv(4 * growth, growth, kernel=3)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, inputs + growth, H, W)."""
        return torch.cat([x, self.grow(self.bottleneck(x))], dim=1)


def _of_depth(depth: int) -> Callable[..., nn.Module]:
    def densenet_bc(*, classes: int, channels: int, growth: int = 12) -> nn.Module:
        if not 1 <= growth <= 1000:
            raise ValueError(f"growth is from 1 to 1000, not {growth}")
        inputs = 2 * growth
        network = nn.Sequential()
        network.add_module("stem", nn.Conv2d(channels, inputs, 3, padding=1, bias=False))
        for number in (1, 2, 3):
            layers = [Layer(inputs + i * growth, growth) for i in range((depth - 4) // 6)]
            network.add_module(f"block{number}", nn.Sequential(*layers))
            inputs += len(layers) * growth
            if number < 3:
                network.add_module(f"transition{number}", _transition(inputs, inputs // 2))
                inputs //= 2
        network.add_module("norm", nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)))
        network.add_module("head", linear_head(inputs, classes))
        return he_initialised(network)

    return densenet_bc


def _bn_relu_conv(inputs: int, outputs: int, *, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), convolution)


def _transition(inputs: int, outputs: int) -> nn.Sequential:
    # rounding up keeps a 1x1 map
    return _bn_relu_conv(inputs, outputs, kernel=1).append(nn.AvgPool2d(2, ceil_mode=True))


MODELS: Mapping[str, Callable[..., nn.Module]] = {f"densenet_bc{depth}": _of_depth(depth) for depth in (40, 100)}
