"""VGG with batch norm for small images (Simonyan & Zisserman, ICLR 2015, table 1; batch norm: Ioffe & Szegedy, 2015).

The number counts convolutions and the paper's three fully connected layers, of which one is kept behind a global
average pool. vgg11 and vgg13 are the paper's A and B; vgg8 has one convolution a stage, vgg6 its first three stages.
"""

from collections.abc import Callable, Mapping

from torch import nn

from edgekd.zoo.architectures._base import conv_bn_relu, he_initialised, linear_head

# widths of the convolutions, stage by stage
_STAGES: dict[str, list[list[int]]] = {
    "vgg6": [[64], [128], [256]],
    "vgg8": [[64], [128], [256], [512], [512]],
    "vgg11": [[64], [128], [256, 256], [512, 512], [512, 512]],
    "vgg13": [[64, 64], [128, 128], [256, 256], [512, 512], [512, 512]],
}


def _of_stages(stages: list[list[int]]) -> Callable[..., nn.Module]:
    def vgg(*, classes: int, channels: int) -> nn.Module:
        network = nn.Sequential()
        inputs = channels
        for number, widths in enumerate(stages, start=1):
            network.add_module(f"stage{number}", _stage(inputs, widths, halve=number < len(stages)))
            inputs = widths[-1]
        network.add_module("head", linear_head(inputs, classes))
        return he_initialised(network)

    return vgg


def _stage(inputs: int, widths: list[int], *, halve: bool) -> nn.Sequential:
    """Convolutions, then a pool that halves the map; the last stage's pool is the head's."""
    layers: list[nn.Module] = []
    for outputs in widths:
        layers.append(conv_bn_relu(inputs, outputs))
        inputs = outputs
    if halve:
        # rounding up keeps a 1x1 map, which images of 8 pixels come to
        layers.append(nn.MaxPool2d(2, ceil_mode=True))
    return nn.Sequential(*layers)


MODELS: Mapping[str, Callable[..., nn.Module]] = {name: _of_stages(stages) for name, stages in _STAGES.items()}
