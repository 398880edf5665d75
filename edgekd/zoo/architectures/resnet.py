"""ResNet for small images (He et al., "Deep Residual Learning", CVPR 2016, section 4.2).

Three stages of 16, 32 and 64 channels; depth = 6 x blocks a stage + 2. Where the shape changes, the shortcut is a 1x1
convolution with batch norm (option B), for which pruning can follow the channels. With 100 classes and 3 channels
resnet32 has 472,756 parameters, resnet8 has 83,892. resnet8 and resnet14 are shallower than the paper's.
"""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from edgekd.zoo.architectures._base import conv_bn_relu, he_initialised, linear_head


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn_relu(inputs, outputs, stride=stride)
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.relu(self.second(self.first(x)) + self.shortcut(x))
        return out


def _of_depth(depth: int) -> Callable[..., nn.Module]:
    def resnet(*, classes: int, channels: int) -> nn.Module:
        network = nn.Sequential()
        network.add_module("stem", conv_bn_relu(channels, 16))
        inputs = 16
        for number, (outputs, stride) in enumerate([(16, 1), (32, 2), (64, 2)], start=1):
            network.add_module(f"stage{number}", _stage(inputs, outputs, stride, blocks=(depth - 2) // 6))
            inputs = outputs
        network.add_module("head", linear_head(inputs, classes))
        return he_initialised(network)

    return resnet


def _stage(inputs: int, outputs: int, stride: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))


MODELS: Mapping[str, Callable[..., nn.Module]] = {
    f"resnet{depth}": _of_depth(depth) for depth in (8, 14, 20, 32, 44, 56, 110)
}
