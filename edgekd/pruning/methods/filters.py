"""Filters with the smallest L1 norm go (Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017,
arXiv 1608.08710).

Where layers share a channel, the norm is summed over their filters; what reads the channel doesn't count.

Options: `scope` is "layer" for the same ratio in every layer, or "global" to rank the channels of all layers together
(edgekd's choice: each norm divided by the mean of its layer's, see `rank.widths_across_layers`).
"""

from edgekd.pruning import narrow
from edgekd.pruning._base import Student, Subject
from edgekd.pruning.options import choice
from edgekd.pruning.rank import SCOPES
from edgekd.pruning.scores import filter_norms

OPTIONS = {"scope": "layer"}
CHOICES = {"scope": SCOPES}
NEEDS_IMAGES = False


def levels(subject: Subject) -> tuple[float, ...]:
    """The ratios that give different widths, rising from 0.0."""
    return narrow.levels(subject, filter_norms, scope=choice(subject, OPTIONS, CHOICES, "scope"))


def prune(subject: Subject, ratio: float) -> Student:
    """A copy with `ratio` of the original's channels gone, those with the smallest filters."""
    return narrow.narrow(subject, ratio, filter_norms, scope=choice(subject, OPTIONS, CHOICES, "scope"))
