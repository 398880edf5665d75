"""Rounds weights and activations to INT8 and back in a way that training can follow."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_MOMENTUM = 0.01
_LEAST = 1e-8


class RoundedWeight(nn.Module):
    """A weight (out, …) rounded to 255 levels, with a scale per output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight; its gradient is the weight's."""
        scale = weight.detach().abs().flatten(1).amax(1).clamp_min(_LEAST) / 127
        zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


class RoundedActivation(nn.Module):
    """Rounds an activation to 8 bits in a range that includes 0; values beyond the range are clipped to it.

    Observed ranges follow a moving average of each batch's least and greatest value in training. Learned ranges have
    the gradient of the loss: S. K. Esser et al., "Learned step size quantization", 2020, arXiv:1902.08153. It is that
    of the scale, times the gradient scale of their section 2.2, expressed for the range, which is the scale times the
    number of levels. A range that begins at 0 keeps doing so: it is that of a rectifier's output.

    Args:
        symmetric: signed with zero point 0, else unsigned with any zero point.
        learned: whether the range is learned.
    """

    low: Tensor
    high: Tensor

    def __init__(self, *, symmetric: bool = False, learned: bool = False) -> None:
        super().__init__()
        self.begins, self.learned = False, learned
        self._levels = (-128, 127) if symmetric else (0, 255)
        for name in ("low", "high"):
            bound = torch.zeros(())
            if learned:
                self.register_parameter(name, nn.Parameter(bound))
            else:
                self.register_buffer(name, bound)

    def forward(self, values: Tensor) -> Tensor:
        """The rounded values, in their own type."""
        exact = values.float()
        if self.begins or (self.training and not self.learned):
            self._follow(exact.detach())
        least, most = self._levels
        if not self.learned:
            scale, zero = self._scale(self.low, self.high)
            return torch.fake_quantize_per_tensor_affine(exact, scale, zero, least, most).to(values.dtype)
        steps = self._scale(self.low, self.high)
        rounded: Tensor = _Rounded.apply(exact, self.low, self.high, (*steps, *self._levels))
        return rounded.to(values.dtype)

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value that is not clipped, before the zero point is rounded."""
        low, high = (bound.item() for bound in self._bounds(self.low.detach(), self.high.detach()))
        return low, high

    def _bounds(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        if self._levels[0] < 0:
            greatest = torch.maximum(-low, high)
            return -greatest, greatest
        return low.clamp_max(0), high.clamp_min(0)

    def _scale(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        least, most = self._levels
        low, high = self._bounds(low.detach(), high.detach())
        if least < 0:
            return (high / most).clamp_min(_LEAST), torch.zeros((), dtype=torch.int32, device=high.device)
        scale = ((high - low) / (most - least)).clamp_min(_LEAST)
        return scale, (-low / scale).round().clamp(least, most).to(torch.int32)

    @torch.no_grad()
    def _follow(self, values: Tensor) -> None:
        """Update the range: initialisation uses the widest one, training a moving average."""
        least, greatest = values.amin().clamp_max(0), values.amax().clamp_min(0)
        if self.begins:
            self.low.copy_(torch.minimum(self.low, least))
            self.high.copy_(torch.maximum(self.high, greatest))
        else:
            self.low.lerp_(least, _MOMENTUM)
            self.high.lerp_(greatest, _MOMENTUM)


class _Rounded(torch.autograd.Function):
    """Rounding whose range has a gradient."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, low: Tensor, high: Tensor, how: tuple[Tensor, Tensor, int, int]) -> Tensor:
        scale, zero, least, most = how
        given = torch.fake_quantize_per_tensor_affine(exact, scale, zero, least, most)
        ctx.save_for_backward(exact, given, low, scale, zero)
        ctx.levels = least, most
        return given

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        exact, given, low, scale, zero = ctx.saved_tensors
        least, most = ctx.levels
        below, above = exact < (least - zero) * scale, exact > (most - zero) * scale
        inside = gradient.masked_fill(below | above, 0)
        for_low, for_high = (gradient.masked_fill(~beyond, 0).sum() for beyond in (below, above))
        # the derivative by the scale is what rounding added, in scales
        stretched = (inside * (given - exact)).sum() / (scale * (most if least < 0 else most - least))
        factor = most**1.5 / math.sqrt(exact[0].numel())
        if least < 0:
            return inside, torch.zeros_like(low), factor * (for_high - for_low + stretched), None
        moving = torch.where(low < 0, factor * (for_low - stretched), torch.zeros_like(low))
        return inside, moving, factor * (for_high + stretched), None
