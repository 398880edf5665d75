"""The inverted residual block of MobileNetV2, MobileNetV3 and EfficientNet, and their rounding of widths."""

from collections.abc import Callable

from torch import Tensor, nn

from edgekd.zoo.architectures._base import conv_bn


class InvertedResidual(nn.Module):
    """1x1 convolution to more channels, depthwise one, squeeze-and-excitation, linear 1x1 one to fewer channels.

    Sandler et al., "MobileNetV2", CVPR 2018, section 3.3, beside a shortcut where the shape stays. Where `hidden` is
    `inputs`, the first convolution is left out.

    Args:
        inputs: channels.
        hidden: channels of the depthwise convolution.
        outputs: channels.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
        activation: after the first and the depthwise convolution.
        excitation: the `SqueezeExcitation` behind the depthwise convolution, for `hidden` channels, or None.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Callable[..., nn.Module],
        excitation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        layers = nn.Sequential()
        if hidden != inputs:
            layers.add_module("expand", conv_bn(inputs, hidden, kernel=1, activation=activation))
        depthwise = conv_bn(hidden, hidden, kernel=kernel, stride=stride, groups=hidden, activation=activation)
        layers.add_module("depthwise", depthwise)
        if excitation is not None:
            layers.add_module("excitation", excitation)
        layers.add_module("project", conv_bn(hidden, outputs, kernel=1))
        self.layers = layers
        self.has_shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) → (N, outputs, H / stride, W / stride)."""
        out: Tensor = self.layers(x)
        return out + x if self.has_shortcut else out


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that all channels' means decide (Hu et al., CVPR 2018, arXiv 1709.01507).

    Args:
        channels: of input and output.
        squeezed: channels between the two 1x1 convolutions.
        activation: between them.
        gate: behind them, to [0, 1].
    """

    def __init__(
        self, channels: int, squeezed: int, *, activation: Callable[..., nn.Module], gate: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, squeezed, 1),
            activation(inplace=True),
            nn.Conv2d(squeezed, channels, 1),
            gate(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) → the same shape."""
        out: Tensor = x * self.gate(x)
        return out


def widths_times(width: float) -> Callable[[int], int]:
    """Channels → channels times `width`, as a multiple of 8 that is at least 8 and not below 90 % of the product.

    That is the rounding of the authors of MobileNetV2, V3 and EfficientNet.

    Raises:
        ValueError: the width isn't above 0 and at most 8.
    """
    if not 0 < width <= 8:
        raise ValueError(f"width must be above 0 and at most 8, not {width}")

    def rounded(channels: int) -> int:
        wanted = channels * width
        nearest = max(8, int(wanted + 4) // 8 * 8)
        return nearest if nearest >= 0.9 * wanted else nearest + 8

    return rounded
