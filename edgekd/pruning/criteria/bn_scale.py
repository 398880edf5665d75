"""The absolute batch-norm scales of a channel, summed (Network Slimming, Liu et al., ICCV 2017, arXiv 1708.06519).

There the scales are made sparse while the network is trained; here they are taken as they are. Where no batch norm
scales a channel, as inside a squeeze-and-excitation, the L1 norm of its filters judges.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.criteria._norms import filter_norms, summed, weight_of
from edgekd.pruning.graph import Group

SCORES: Literal["channels"] = "channels"
NEEDS_IMAGES = False
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
    """The sum of |scale| over the batch norms behind each channel, (width,) float32; `filter_norms` without any."""
    return tuple(map(_of_group, groups))


def _of_group(group: Group) -> Tensor:
    norms = [member for member in group.members if isinstance(member.layer, nn.modules.batchnorm._BatchNorm)]
    return summed(group, norms, lambda member: weight_of(member).abs()) if norms else filter_norms(group)
