"""Cross-layer matrices, edgekd's reading of: H.-H. Chou, C.-T. Chiu, Y.-P. Liao, "Cross-layer knowledge distillation
with KL divergence and offline ensemble for compressing deep neural network", 2021, doi:10.1017/ATSIP.2021.16.

Of that paper edgekd knows the abstract alone: a "cross-layer matrix" (their conference version: a Gramian one) of the
teacher's features, and 1×1 convolutions where dimensions differ. All the rest is edgekd's choice: the matrix is that
of the flow between two layers of J. Yim, D. Joo, J. Bae, J. Kim, "A Gift from Knowledge Distillation: Fast
Optimization, Network Minimization and Transfer Learning", CVPR 2017, equation 1, between every two stages and not only
neighbours; larger maps are averaged to the smaller size (they take the maximum); the matrices are compared at length 1,
since a student's first ones may be any number of times the teacher's, and its training then diverges. The paper's other
parts are the loss 'kd' and several teachers.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import Example, at_least_fp32
from edgekd.training.losses._features import NO_FEATURES_HINT, full_precision, projection, same_size, stage_pairs
from edgekd.training.outputs import Outputs

NEEDS: Literal["features"] = "features"
OPTIONS: Mapping[str, float] = {}

_Stages = tuple[Tensor, Tensor]
"""Two of a network, of one size."""

_LEAST = 1e-2
"""Matrices shorter than this are scaled by as much as one of this length: a gradient that stays bounded."""


def crosslayer_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The squared distance of two networks' `flow` between stages, each scaled to length 1: from 0 to 4, the mean over
    the batch and over every two stages.

    From two or more stages (B, C_i, H_i, W_i) of each, with the same channels C_i; the teacher's are constants.
    """
    constants = [stage.detach() for stage in teacher]
    pairs = zip(combinations(student, 2), combinations(constants, 2), strict=True)
    return torch.stack([_distance(same_size(*ours), same_size(*theirs)).mean() for ours, theirs in pairs]).mean()


def flow(one: Tensor, other: Tensor) -> Tensor:
    """The mean over all positions of the products of two stages' channels, (B, C_i, C_j), in at least fp32.

    From features (B, C_i, H_i, W_i) and (B, C_j, H_j, W_j), the larger averaged to the smaller one's size.
    """
    one, other = same_size(one, other)
    with full_precision(one):
        return one.flatten(2) @ other.flatten(2).mT / (one.shape[2] * one.shape[3])


def _distance(ours: _Stages, theirs: _Stages) -> Tensor:
    """The squared distance of two flows of length 1, (B,).

    Small maps of many channels have flows of many more numbers than pairs of positions: those aren't made there.
    """
    if _positions(ours) * _positions(theirs) >= ours[0].shape[1] * ours[1].shape[1]:
        return (_unit(flow(*ours)) - _unit(flow(*theirs))).square().sum(1)
    own, other = _product(ours, ours), _product(theirs, theirs)
    squares = own.clamp_min(_LEAST**2), other.clamp_min(_LEAST**2)
    together = _product(ours, theirs) / (squares[0].sqrt() * squares[1].sqrt())
    return own / squares[0] + other / squares[1] - 2 * together


def _unit(flows: Tensor) -> Tensor:
    return F.normalize(flows.flatten(1), dim=1, eps=_LEAST)


def _product(one: _Stages, other: _Stages) -> Tensor:
    """The inner product of two flows, (B,): that of matrices AᵀB and CᵀD is the sum of the products of ACᵀ and BDᵀ."""
    with full_precision(one[0]):
        first, second = (ours.flatten(2).mT @ theirs.flatten(2) for ours, theirs in zip(one, other, strict=True))
        return (first * second).sum((1, 2)) / (_positions(one) * _positions(other))


def _positions(stages: _Stages) -> int:
    return stages[0].shape[2] * stages[0].shape[3]


class CrossLayer(nn.Module):
    """`crosslayer_loss`, with 1×1 convolutions that learn with the student where it has other channels.

    Args:
        pairs: of the student's and the teacher's stages, (B, C, H, W).
    """

    def __init__(self, pairs: Sequence[tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            [nn.Identity() if ours.shape[1] == theirs.shape[1] else projection(ours, theirs) for ours, theirs in pairs]
        )
        self.channels = tuple((ours.shape[1], theirs.shape[1]) for ours, theirs in pairs)

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it knows other classes.
        """
        ours, theirs = zip(*stage_pairs("crosslayer", student, teacher), strict=True)
        with full_precision(student.logits):
            projected = [p(at_least_fp32(stage)) for p, stage in zip(self.projections, ours, strict=True)]
        return crosslayer_loss(projected, theirs)

    def __repr__(self) -> str:
        return f"CrossLayer(channels=[{', '.join(f'{ours}→{theirs}' for ours, theirs in self.channels)}])"


def build(options: Mapping[str, float], example: Example) -> CrossLayer:
    """The loss has no options.

    Raises:
        EdgekdError: student and teacher have less than two stages in common.
    """
    pairs = stage_pairs("crosslayer", example.student, example.teacher)
    if len(pairs) < 2:
        what = "the loss 'crosslayer' is of two stages at least; student and teacher have one in common"
        raise EdgekdError(what, NO_FEATURES_HINT)
    return CrossLayer(pairs)
