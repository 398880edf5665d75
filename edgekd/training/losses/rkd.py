"""Relational knowledge distillation: W. Park, D. Kim, Y. Lu, M. Cho, "Relational Knowledge Distillation", 2019,
arXiv:1904.05068, sections 3.2.1 (distances) and 3.2.2 (angles).

The paper sums over the pairs and triples of a batch; this is the mean over all of them, including an image with
itself, as in the authors' code. The weights 25 and 50 are the paper's for classification (section 4.2), together
with cross-entropy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import Example, at_least_fp32, required_teacher
from edgekd.training.losses._features import NO_FEATURES_HINT, full_precision
from edgekd.training.outputs import Outputs

NEEDS: Literal["features"] = "features"
OPTIONS: Mapping[str, float] = {"distance": 25.0, "angle": 50.0}


def rkd_loss(student: Tensor, teacher: Tensor, *, distance: float, angle: float) -> Tensor:
    """The weighted sum of the differences in distances and in angles between the images of a batch, in at least fp32.

    From embeddings (B, F_s) and (B, F_t), the latter constant. Both are Huber losses (delta = 1): of the distances
    between two images, divided by their mean, and of the cosines of the angles that two images form at a third. The
    loss is invariant to translation, scale and rotation. For a batch of one it is 0. Memory grows with B² · F and B³.
    """
    with full_precision(student):
        ours, theirs = _relations(at_least_fp32(student)), _relations(at_least_fp32(teacher.detach()))
        of_distances, of_angles = (F.smooth_l1_loss(*both) for both in zip(ours, theirs, strict=True))
        return distance * of_distances + angle * of_angles


def _relations(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (B, B) divided by their mean over pairs of different images, and the cosines (B, B, B) of all angles;
    the first index is the vertex.

    Images whose embeddings are equal up to rounding have the distance 0, and the cosine 0 with any third one, without
    gradients, which would be unbounded.
    """
    difference = embedding.unsqueeze(0) - embedding.unsqueeze(1)
    length = vector_norm(difference, dim=2)
    size = vector_norm(embedding, dim=1)
    same = length <= 1e-6 * (size.unsqueeze(0) + size.unsqueeze(1))
    direction = difference / length.masked_fill(same, torch.inf).unsqueeze(2)
    length = length.masked_fill(same, 0)
    mean = length.sum() / max(1, len(embedding) * (len(embedding) - 1))
    return length / mean.masked_fill(mean == 0, 1), direction @ direction.mT


@dataclass(frozen=True)
class RelationalDistillation:
    """`rkd_loss` with its settings."""

    distance: float
    angle: float

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        constant = required_teacher("rkd", student, teacher)
        return rkd_loss(_embedding(student), _embedding(constant), distance=self.distance, angle=self.angle)


def _embedding(outputs: Outputs) -> Tensor:
    """The input of the last linear layer; without one, the last stage's mean over its positions, (B, F)."""
    if outputs.embedding is not None:
        return outputs.embedding
    if not outputs.stages:
        what = "the loss 'rkd' compares inputs of the last linear layer, or the last features; the network has neither"
        raise EdgekdError(what, NO_FEATURES_HINT)
    return at_least_fp32(outputs.stages[-1]).mean((2, 3))


def build(options: Mapping[str, float], example: Example) -> RelationalDistillation:
    """The loss with its options: `distance` (25) and `angle` (50), the weights of the two.

    Raises:
        EdgekdError: student or teacher has no features.
    """
    for outputs in (example.student, required_teacher("rkd", example.student, example.teacher)):
        _embedding(outputs)
    return RelationalDistillation(**options)
