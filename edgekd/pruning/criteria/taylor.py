"""What the loss changes by without a channel, to first order: (sum of gradient x weight)^2 of each layer, summed over
the layers and averaged over minibatches (Molchanov et al., "Importance Estimation for Neural Network Pruning", CVPR
2019, arXiv 1906.10771).

Edgekd's choice: the cross-entropy of the network as it is, in eval mode.
"""

from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.criteria._gradients import minibatches
from edgekd.pruning.criteria._norms import channel_sums, weight_of, weighted
from edgekd.pruning.graph import Group

SCORES: Literal["channels"] = "channels"
NEEDS_IMAGES = True
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
    """The first-order Taylor expansion of the cross-entropy on the subject's images, (width,) float32.

    Raises:
        EdgekdError: there are no images.
    """
    totals = [torch.zeros(group.width) for group in groups]
    for count in minibatches(subject, "taylor"):
        for total, group in zip(totals, groups, strict=True):
            total += _expected_change(group) / count
    return tuple(totals)


def _expected_change(group: Group) -> Tensor:
    """(width,), by the gradients that the layers' weights have."""
    total = torch.zeros(group.width)
    for member in weighted(group):
        gradient = cast(Tensor, member.layer.weight).grad
        if gradient is not None:
            total += channel_sums(member, weight_of(member) * gradient, group.width).square()
    return total
