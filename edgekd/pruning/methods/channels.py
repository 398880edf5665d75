"""Channels go by what they are to the network, judged over all the layers that share them.

Options: `criterion` is

- "bn_scale": the absolute batch-norm scales of the channel, summed (Network Slimming, Liu et al., ICCV 2017,
  arXiv 1708.06519). There the scales are made sparse while the network is trained; here they are taken as they are.
  Where no batch norm scales a channel, as inside a squeeze-and-excitation, the L1 norm of its filters judges.
- "group": the squared L2 norm of all weights that belong to the channel: its filters, the weights that read it, its
  batch-norm scale (DepGraph, Fang et al., CVPR 2023, arXiv 2301.12900).
- "taylor": what the loss changes by without the channel, to first order: (sum of gradient x weight)^2 of each layer,
  summed over the layers and averaged over minibatches (Molchanov et al., "Importance Estimation for Neural Network
  Pruning", CVPR 2019, arXiv 1906.10771). Edgekd's choice: the cross-entropy of the network as it is, in eval mode.

`scope` is "layer" for the same ratio in every layer, or "global" to rank the channels of all layers together (edgekd's
choice: each score divided by the mean of its layer's, see `rank.widths_across_layers`).
"""

import copy
from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.pruning import narrow
from edgekd.pruning._base import Student, Subject
from edgekd.pruning.choose import channels_of
from edgekd.pruning.graph import Group, Member
from edgekd.pruning.options import choice
from edgekd.pruning.rank import SCOPES
from edgekd.pruning.scores import WEIGHTED, channel_sums, filter_norms, weight_of

OPTIONS = {"criterion": "bn_scale", "scope": "layer"}
CHOICES = {"criterion": ("bn_scale", "group", "taylor"), "scope": SCOPES}
NEEDS_IMAGES = True

_BATCH = 16
"""Images a gradient: few enough for the memory that a child process is given."""


def levels(subject: Subject) -> tuple[float, ...]:
    """The ratios that give different widths, rising from 0.0; raises as `prune`."""
    return narrow.levels(subject, _scores(subject), scope=choice(subject, OPTIONS, CHOICES, "scope"))


def prune(subject: Subject, ratio: float) -> Student:
    """A copy with `ratio` of the original's channels gone, those that matter least.

    Raises:
        EdgekdError: an option has no such value, or `criterion = "taylor"` and there are no images.
    """
    return narrow.narrow(subject, ratio, _scores(subject), scope=choice(subject, OPTIONS, CHOICES, "scope"))


def batch_norm_scales(group: Group) -> Tensor:
    """The sum of |scale| over the batch norms behind each channel, (width,); `filter_norms` where there are none."""
    norms = [m for m in group.members if isinstance(m.layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return filter_norms(group)
    return sum((channel_sums(m, weight_of(m).abs(), group.width) for m in norms), start=torch.zeros(group.width))


def squared_norms(group: Group) -> Tensor:
    """The sum of the squares of all weights that belong to each channel, (width,)."""
    return sum(
        (channel_sums(m, weight_of(m).square(), group.width) for m in _weighted(group)), start=torch.zeros(group.width)
    )


def taylor(subject: Subject) -> narrow.Scores:
    """Scores of a group's channels by the first-order Taylor expansion of the cross-entropy on the subject's images.

    Raises:
        EdgekdError: there are no images.
    """
    if not len(subject.images):
        hint = 'Prune where there is training data, or set criterion to "bn_scale" or "group".'
        raise EdgekdError('prune.options: criterion = "taylor" needs training images, and there are none', hint)
    model = copy.deepcopy(subject.model).eval()
    groups = channels_of(subject.model, model, subject.example).groups
    totals = {group.root: torch.zeros(group.width) for group in groups}
    batches = list(zip(torch.split(subject.images, _BATCH), torch.split(subject.labels, _BATCH), strict=True))
    for images, labels in batches:
        model.zero_grad()
        with torch.enable_grad():
            F.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        for group in groups:
            totals[group.root] += _expected_change(group) / len(batches)
    return lambda group: totals[group.root]


def _expected_change(group: Group) -> Tensor:
    """(width,), by the gradients that the layers' weights have."""
    total = torch.zeros(group.width)
    for member in _weighted(group):
        gradient = cast(Tensor, member.layer.weight).grad
        if gradient is not None:
            total += channel_sums(member, weight_of(member) * gradient, group.width).square()
    return total


def _weighted(group: Group) -> list[Member]:
    return [m for m in group.members if isinstance(m.layer, WEIGHTED)]


_CRITERIA: Mapping[str, Callable[[Subject], narrow.Scores]] = {
    "bn_scale": lambda subject: batch_norm_scales,
    "group": lambda subject: squared_norms,
    "taylor": taylor,
}


def _scores(subject: Subject) -> narrow.Scores:
    return _CRITERIA[choice(subject, OPTIONS, CHOICES, "criterion")](subject)
