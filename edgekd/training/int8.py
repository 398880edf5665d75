"""Quantisation-aware training for INT8: R. Krishnamoorthi, "Quantizing deep convolutional networks for efficient
inference", 2018, arXiv:1806.08342, section 3.2.

The forward pass rounds weights and activations to INT8 and back; in the backward pass, rounding is the identity within
its range. Weights are symmetric per output channel, activations asymmetric per tensor, as in the files of the INT8
writers. Batch normalisation after a convolution scales whole output channels, and so their symmetric scales: it need
not be folded. edgekd's choice: an activation's range is initialised on training images and then follows a moving
average.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgekd.errors import UnsupportedModelError
from edgekd.values.defaults import images_at_once
from edgekd.zoo.forward import run

_MOMENTUM = 0.01
_LAYERS = (nn.Conv2d, nn.Linear)


class RoundedWeight(nn.Module):
    """A weight (out, …) rounded to 255 levels, with a scale per output channel."""

    def forward(self, weight: Tensor) -> Tensor:
        """The rounded weight; its gradient is the weight's."""
        scale = weight.detach().abs().flatten(1).amax(1).clamp_min(1e-8) / 127
        zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


class RoundedInput(nn.Module):
    """Rounds a layer's input to 256 levels between its minimum and maximum, including 0."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.begins = False
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))

    def forward(self, values: Tensor) -> Tensor:
        """The rounded values, in their own type."""
        exact = values.float()
        self._follow(exact.detach())
        scale = ((self.high - self.low) / 255).clamp_min(1e-8)
        zero = (-self.low / scale).round().clamp(0, 255).to(torch.int32)
        return torch.fake_quantize_per_tensor_affine(exact, scale, zero, 0, 255).to(values.dtype)

    def _follow(self, values: Tensor) -> None:
        """Update the range: initialisation uses the widest one, training a moving average."""
        new = self.low.isnan()
        least, greatest = values.amin().clamp_max(0), values.amax().clamp_min(0)
        # decided on the device, which needs no synchronisation
        for bound, seen, further in ((self.low, least, torch.minimum), (self.high, greatest, torch.maximum)):
            later = bound.lerp(seen, _MOMENTUM) if self.training else further(bound, seen) if self.begins else bound
            bound.copy_(torch.where(new, seen, later))


@contextmanager
def rounded(model: nn.Module, images: Tensor) -> Iterator[None]:
    """Within the block, the model's convolutions and linear layers simulate INT8; afterwards it is a plain model with
    the trained weights.

    Args:
        model: changed in place.
        images: some training images (B, C, H, W), for the activations' initial ranges.

    Raises:
        UnsupportedModelError: a hook of the model computes a layer's weight, so it can't be rounded.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, _LAYERS)]
    _require_weights(model)
    handles = []
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", RoundedWeight())
        layer.reads = RoundedInput()
        handles.append(layer.register_forward_pre_hook(lambda layer, read: (layer.reads(read[0]),)))
    _begin(model, [cast(RoundedInput, layer.reads) for layer in layers], images)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer in layers:
            _unrounded(layer)
            del layer.reads


def _begin(model: nn.Module, readers: Sequence[RoundedInput], images: Tensor) -> None:
    """Initialise the ranges."""
    training = model.training
    for reader in readers:
        reader.begins = True
    with torch.no_grad():
        for part in torch.split(images, images_at_once(images.shape, 64)):
            run(model.eval(), part)
    for reader in readers:
        reader.begins = False
    model.train(training)


def _require_weights(model: nn.Module) -> None:
    for name, layer in model.named_modules():
        if isinstance(layer, _LAYERS) and "weight" not in layer._parameters and not _is_parametrised(layer):
            what = f"the step 'qat' can't round {name!r}: a hook computes its weight"
            hint = "Use torch.nn.utils.parametrizations instead of torch.nn.utils.weight_norm and spectral_norm."
            raise UnsupportedModelError(what, hint)


def _is_parametrised(layer: nn.Module) -> bool:
    return parametrize.is_parametrized(layer, "weight")


def _unrounded(layer: nn.Module) -> None:
    """Remove the rounding, but keep the network's own parametrisations of the weight."""
    chain = cast(nn.ModuleList, cast(nn.ModuleDict, layer.parametrizations)["weight"])
    if len(chain) == 1:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    else:
        del chain[-1]
