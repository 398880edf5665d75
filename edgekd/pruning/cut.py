"""Taking channels out of one layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo._widths import set_tensor

_WIDTHS = ("num_features", "num_channels", "num_parameters")


def is_depthwise(layer: nn.Module) -> bool:
    """Whether it is a convolution that gives a channel, or several, for each that it reads, of that alone."""
    return isinstance(layer, nn.modules.conv._ConvNd) and layer.groups == layer.in_channels > 1


def keep_outputs(layer: nn.Module, kept: Sequence[int]) -> None:
    """Leave a convolution or linear layer, in place, these of its outputs, rising."""
    found: Any = layer
    at = torch.tensor(kept, dtype=torch.int64)
    if isinstance(layer, nn.Linear):
        found.out_features = len(kept)
        set_tensor(layer, "weight", found.weight.detach()[at])
    else:
        groups, per_group = found.groups, found.out_channels // found.groups
        found.out_channels = len(kept)
        if is_depthwise(layer):
            found.groups = found.in_channels = len(kept) // per_group
        if not found.transposed:
            set_tensor(layer, "weight", found.weight.detach()[at])
        elif is_depthwise(layer):
            set_tensor(layer, "weight", found.weight.detach()[at[::per_group] // per_group])
        else:
            set_tensor(layer, "weight", found.weight.detach()[:, at[: len(kept) // groups]])
    if found.bias is not None:
        set_tensor(layer, "bias", found.bias.detach()[at])


def keep_inputs(layer: nn.Module, kept: Sequence[int]) -> None:
    """Leave a convolution or linear layer, in place, these of its inputs, rising; a depthwise one's are its outputs."""
    found: Any = layer
    at = torch.tensor(kept, dtype=torch.int64)
    if isinstance(layer, nn.Linear):
        found.in_features = len(kept)
        set_tensor(layer, "weight", found.weight.detach()[:, at])
        return
    found.in_channels = len(kept)
    in_group = at[: len(kept) // found.groups]
    set_tensor(layer, "weight", found.weight.detach()[at] if found.transposed else found.weight.detach()[:, in_group])


def keep_channels(layer: nn.Module, kept: Sequence[int], width: int) -> None:
    """Keep these of the `width` channels of a layer that processes each channel separately, such as a norm.

    Raises:
        UnsupportedModelError: the axis of the channels in its tensors is ambiguous.
    """
    at = torch.tensor(kept, dtype=torch.int64)
    for name, tensor in [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]:
        axes = [axis for axis, size in enumerate(tensor.shape) if size == width]
        if tensor.numel() == 1 and width > 1:
            continue
        if len(axes) != 1:
            raise UnsupportedModelError(f"{name} of {tuple(tensor.shape)} isn't one of {width} channels", "Leave it.")
        set_tensor(layer, name, _selected(tensor, axes[0], at))
    for width_name in _WIDTHS:
        if getattr(layer, width_name, None) == width:
            setattr(layer, width_name, len(kept))
    if isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = (len(kept),)


def _selected(tensor: Tensor, axis: int, at: Tensor) -> Tensor:
    return tensor.detach().index_select(axis, at)
