"""What a module of architectures provides, and the layers that they share.

A new architecture is one module here: its keys in `MODELS` are the names that users give.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from torch import nn

from edgekd.catalog import Kind


class Architecture(Protocol):
    """The members of an architecture module."""

    @property
    def MODELS(self) -> Mapping[str, Callable[..., nn.Module]]:
        """Name → function of (*, classes, channels, further int or float settings with defaults) that builds the
        network with random weights and raises ValueError for a setting out of range.
        """


ARCHITECTURES = Kind[Architecture]("zoo.architectures", "architecture")


def conv_bn(
    inputs: int,
    outputs: int,
    *,
    kernel: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[..., nn.Module] | None = None,
) -> nn.Sequential:
    """Convolution padded to keep the size (at stride 1), batch norm, and the activation if one is given."""
    layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )
    if activation is not None:
        layers.append(activation(inplace=True))
    return layers


def conv_bn_relu(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution padded to keep the size (at stride 1), batch norm, ReLU."""
    return conv_bn(inputs, outputs, kernel=kernel, stride=stride, groups=groups, activation=nn.ReLU)


def linear_head(features: int, classes: int) -> nn.Sequential:
    """Global average pool and one linear layer: (N, features, H, W) → (N, classes) for any H and W."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, classes))


def he_initialised(model: nn.Module) -> nn.Module:
    """The model with weights initialised for ReLU networks (He et al., ICCV 2015, eq. 10)."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            # by fan-in: PyTorch counts the fan-out of a depthwise convolution `channels` times too large, and the
            # vanishing activations that follow from it make an untrained network slower than a trained one
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="linear")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
