"""Cross-layer matrices, edgekd's version of: H.-H. Chou, C.-T. Chiu, Y.-P. Liao, "Cross-layer knowledge distillation
with KL divergence and offline ensemble for compressing deep neural network", 2021, doi:10.1017/ATSIP.2021.16.

Only the abstract of that paper was available: a "cross-layer matrix" (in the conference version: Gramian) of the
teacher's features, and 1×1 convolutions if dimensions differ. Everything else is edgekd's choice. The matrix is that of
the flow between two layers of J. Yim, D. Joo, J. Bae, J. Kim, "A Gift from Knowledge Distillation: Fast
Optimization, Network Minimization and Transfer Learning", CVPR 2017, equation 1, between all pairs of stages, not only
neighbours. Larger maps are average-pooled to the smaller size (the paper uses the maximum). The matrices are compared
at length 1, because a new student's may be larger than the teacher's by any factor, and its training would diverge. The
paper's other parts are the loss 'kd' and several teachers.
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
"""Two stages of a network, of the same size."""

_LEAST = 1e-2
"""Shorter matrices are scaled like one of this length, which bounds the gradient."""


def crosslayer_loss(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """The squared distance of two networks' `flow` between stages, each scaled to length 1: 0 to 4, the mean over the
    batch and over all pairs of stages.

    From two or more stages (B, C_i, H_i, W_i) of each, with the same channels C_i; the teacher's are constants.
    """
    constants = [stage.detach() for stage in teacher]
    pairs = zip(combinations(student, 2), combinations(constants, 2), strict=True)
    return torch.stack([_distance(same_size(*ours), same_size(*theirs)).mean() for ours, theirs in pairs]).mean()


def flow(one: Tensor, other: Tensor) -> Tensor:
    """The mean over all positions of the products of two stages' channels, (B, C_i, C_j), in at least fp32.

    From features (B, C_i, H_i, W_i) and (B, C_j, H_j, W_j), the larger average-pooled to the smaller one's size.
    """
    one, other = same_size(one, other)
    with full_precision(one):
        return one.flatten(2) @ other.flatten(2).mT / (one.shape[2] * one.shape[3])


def _distance(ours: _Stages, theirs: _Stages) -> Tensor:
    """The squared distance of two flows of length 1, (B,).

    For small maps with many channels, flows are larger than products over pairs of positions, which are used instead.
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
    """`crosslayer_loss`, with trained 1×1 convolutions where the student has other channels.

    Args:
        pairs: pairs of the student's and the teacher's stages, (B, C, H, W).
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
            EdgekdError: there is no teacher, or it has other classes.
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
        EdgekdError: student and teacher have fewer than two stages in common.
    """
    pairs = stage_pairs("crosslayer", example.student, example.teacher)
    if len(pairs) < 2:
        what = "the loss 'crosslayer' needs at least two stages; student and teacher have one in common"
        raise EdgekdError(what, NO_FEATURES_HINT)
    return CrossLayer(pairs)
