"""Every layer becomes narrower by the same ratio, as a width multiplier makes a network: widthwise compression.

A uniform width multiplier is MobileNet's (Howard et al., 2017, arXiv 1704.04861, section 3.3). Which channels survive
is decided by the L1 norm of a filter (Li et al., ICLR 2017, arXiv 1608.08710), summed over all weights that belong to
the channel (DepGraph, Fang et al., CVPR 2023, arXiv 2301.12900): its filters, the weights that read it, its
batch-norm scale.

Options: `weights` is "inherited", or "scratch" for the same network with fresh weights drawn with `seed`.
"""

import copy
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from edgekd.pruning import narrow
from edgekd.pruning._base import Option, Student, Subject
from edgekd.pruning.graph import Group
from edgekd.pruning.options import choice
from edgekd.pruning.scores import WEIGHTED, channel_sums, weight_of
from edgekd.zoo.reinitialize import reinitialize

OPTIONS: Mapping[str, Option] = {"weights": "inherited", "seed": 0.0}
CHOICES = {"weights": ("inherited", "scratch")}
NEEDS_IMAGES = False


def scores(group: Group) -> Tensor:
    """The L1 norm of all weights that belong to each channel, (width,) float32."""
    weighted = (m for m in group.members if isinstance(m.layer, WEIGHTED))
    return sum((channel_sums(m, weight_of(m).abs(), group.width) for m in weighted), start=torch.zeros(group.width))


def levels(subject: Subject) -> tuple[float, ...]:
    """The ratios that give different widths, rising from 0.0."""
    return narrow.levels(subject)


def prune(subject: Subject, ratio: float) -> Student:
    """A copy with `ratio` of each layer's original channels gone; as `_base.Method.prune`.

    Raises:
        UnsupportedModelError: `weights = "scratch"`, and the network holds tensors that can't be drawn anew.
    """
    weights = choice(subject, OPTIONS, CHOICES, "weights")
    student = narrow.narrow(subject, ratio, scores)
    if ratio == 0 or weights == "inherited":
        return student
    anew = copy.deepcopy(student.model)
    reinitialize(anew, int(subject.options.get("seed", 0)))
    return replace(student, model=anew, surviving=student.model)
