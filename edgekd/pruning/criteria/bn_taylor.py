"""What the loss changes by without a channel, to first order, by its batch norms: |scale x gradient + shift x
gradient|, averaged over minibatches (Shen et al., "Structural Pruning via Latency-Saliency Knapsack", NeurIPS 2022,
arXiv 2210.06659).

Edgekd's choices: the batch norms that share a channel are added before the absolute value is taken, since they go
together; where no batch norm follows, the filters and biases that make the channel judge in the same way; the
cross-entropy is that of the network as it is, in eval mode.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.criteria._gradients import minibatches
from edgekd.pruning.criteria._norms import FILTERS, channel_sums
from edgekd.pruning.graph import Group, Member

SCORES: Literal["channels"] = "channels"
NEEDS_IMAGES = True
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
    """The change of the cross-entropy on the subject's images, a mean over minibatches, (width,) float32.

    Raises:
        EdgekdError: there are no images.
    """
    totals = [torch.zeros(group.width) for group in groups]
    judges = [_judges(group) for group in groups]
    for count in minibatches(subject, "bn_taylor"):
        for total, group, members in zip(totals, groups, judges, strict=True):
            changes = (_change(member, group.width) for member in members)
            total += sum(changes, start=torch.zeros(group.width)).abs() / count
    return tuple(totals)


def _judges(group: Group) -> list[Member]:
    norms = [member for member in group.members if isinstance(member.layer, nn.modules.batchnorm._BatchNorm)]
    return norms or [m for m in group.members if m.side == "out" and isinstance(m.layer, FILTERS)]


def _change(member: Member, width: int) -> Tensor:
    """The sum of parameter x gradient over scale and shift, or filter and bias, of each channel: (width,)."""
    total = torch.zeros(width)
    for parameter in (member.layer.weight, member.layer.bias):
        if parameter is not None and (gradient := cast(Tensor, parameter).grad) is not None:
            total += channel_sums(member, cast(Tensor, parameter).detach() * gradient, width)
    return total
