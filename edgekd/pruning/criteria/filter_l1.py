"""The L1 norm of a channel's filters (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, arXiv
1608.08710).

Where layers share a channel, the norm is summed over their filters; what reads the channel doesn't count.
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.criteria._norms import filter_norms
from edgekd.pruning.graph import Group

SCORES: Literal["channels"] = "channels"
NEEDS_IMAGES = False
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
    """The L1 norm of each channel's filters, (width,) float32."""
    return tuple(map(filter_norms, groups))
