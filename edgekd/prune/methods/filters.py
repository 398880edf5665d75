"""Filters with the smallest weights go: group L1 magnitude, the same ratio in every group.

The L1 norm of a filter ranks it within its layer (Li et al., ICLR 2017, arXiv 1608.08710); where layers share
channels, the norm is summed over all weights that belong to the channel (DepGraph, Fang et al., CVPR 2023,
arXiv 2301.12900): its filters, the weights that read it, its batch-norm scale.
"""

from functools import partial
from typing import cast

import torch
from torch import Tensor, nn

from edgekd.prune import narrow
from edgekd.prune.graph import Group, Member

_WEIGHTED = (nn.modules.conv._ConvNd, nn.Linear, nn.modules.batchnorm._BatchNorm)


def scores(group: Group) -> Tensor:
    """The L1 norm of all weights that belong to each channel, (width,) float32."""
    total = torch.zeros(group.width)
    for member in group.members:
        if isinstance(member.layer, _WEIGHTED):
            norms = _norms(member)[list(member.channels)]
            total.index_add_(0, torch.tensor(member.sources), norms.float().cpu())
    return total


def _norms(member: Member) -> Tensor:
    """The L1 norm of the weights at each channel of the member's side, (channels of the layer,)."""
    weight = cast(Tensor, member.layer.weight).detach().abs()
    if weight.dim() == 1:
        return weight
    # weights are (out, in / groups, ...), and (in, out / groups, ...) in transposed convolutions
    axis = int((member.side == "in") != getattr(member.layer, "transposed", False))
    norms = weight.movedim(axis, 0).flatten(1).sum(dim=1)
    return norms.repeat(getattr(member.layer, "groups", 1)) if axis == 1 else norms


prune = partial(narrow.narrow, scores=scores)
levels = narrow.levels
