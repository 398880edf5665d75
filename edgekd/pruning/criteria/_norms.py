"""What the weights of a channel add up to, over the layers that share it."""

from collections.abc import Callable, Iterable
from typing import cast

import torch
from torch import Tensor, nn

from edgekd.pruning.graph import Group, Member

FILTERS = (nn.modules.conv._ConvNd, nn.Linear)
WEIGHTED = (*FILTERS, nn.modules.batchnorm._BatchNorm)


def weight_of(member: Member) -> Tensor:
    """The layer's weight, without its history."""
    return cast(Tensor, member.layer.weight).detach()


def channel_sums(member: Member, elements: Tensor, width: int) -> Tensor:
    """The sum of `elements` over each of the group's channels, (width,) float32.

    Args:
        member: one side of one layer.
        elements: one number for each of the layer's weights, in the weight's shape.
        width: of the group.
    """
    if elements.dim() > 1:
        # weights are (out, in / groups, ...), and (in, out / groups, ...) in transposed convolutions
        axis = int((member.side == "in") != getattr(member.layer, "transposed", False))
        elements = elements.movedim(axis, 0).flatten(1).sum(dim=1)
        if axis == 1:
            elements = elements.repeat(getattr(member.layer, "groups", 1))
    sums = elements[list(member.channels)].float().cpu()
    return torch.zeros(width).index_add_(0, torch.tensor(member.sources), sums)


def weighted(group: Group) -> list[Member]:
    """The group's convolutions, linear layers and batch norms."""
    return [member for member in group.members if isinstance(member.layer, WEIGHTED)]


def summed(group: Group, members: Iterable[Member], elements: Callable[[Member], Tensor]) -> Tensor:
    """`channel_sums` of what `elements` gives for each member, added up: (width,) float32."""
    sums = (channel_sums(member, elements(member), group.width) for member in members)
    return sum(sums, start=torch.zeros(group.width))


def filter_norms(group: Group) -> Tensor:
    """The L1 norm of each channel's filters, (width,): of the convolutions and linear layers whose output it is."""
    filters = [m for m in group.members if m.side == "out" and isinstance(m.layer, FILTERS)]
    return summed(group, filters, lambda member: weight_of(member).abs())
