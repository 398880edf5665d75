"""The L1 norm of all weights that belong to a channel: its filters, the weights that read it, its batch-norm scale.

The L1 norm of a filter is the criterion of Li et al. (ICLR 2017, arXiv 1608.08710), here summed over all weights of the
channel as DepGraph does (Fang et al., CVPR 2023, arXiv 2301.12900).
"""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.criteria._norms import summed, weight_of, weighted
from edgekd.pruning.graph import Group

SCORES: Literal["channels"] = "channels"
NEEDS_IMAGES = False
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
    """The L1 norm of all weights that belong to each channel, (width,) float32."""
    return tuple(summed(group, weighted(group), lambda member: weight_of(member).abs()) for group in groups)
