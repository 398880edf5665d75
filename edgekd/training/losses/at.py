"""Attention transfer: S. Zagoruyko, N. Komodakis, "Paying More Attention to Attention: Improving the Performance of
Convolutional Neural Networks via Attention Transfer", 2017, arXiv:1612.03928, section 3.1, equation 2.

The paper's equation uses the norm of the difference; the authors' code, mdistiller's and this one use the mean of its
squares. mdistiller's recipe for CIFAR-100 adds it to cross-entropy with the weight 1000.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.training.losses._base import Example, at_least_fp32
from edgekd.training.losses._features import same_size, stage_pairs
from edgekd.training.outputs import Outputs

NEEDS: Literal["features"] = "features"
OPTIONS: Mapping[str, float] = {}


def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference of two stages' attention, in at least fp32, from features (B, C, H, W).

    An image's attention is the sum of squares over the channels (the paper's F_sum with p = 2) at every position,
    scaled to length 1 over the positions. edgekd's choice: if the sizes differ, the larger one is first average-pooled
    to the smaller one. The attention of all-zero features is 0.
    """
    ours, theirs = same_size(_squared(student), _squared(teacher.detach()))
    return F.mse_loss(F.normalize(ours.flatten(1), dim=1), F.normalize(theirs.flatten(1), dim=1))


def _squared(features: Tensor) -> Tensor:
    return at_least_fp32(features).square().sum(1, keepdim=True)


@dataclass(frozen=True)
class AttentionTransfer:
    """The sum of `attention_loss` over the stages."""

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        return torch.stack([attention_loss(*pair) for pair in stage_pairs("at", student, teacher)]).sum()


def build(options: Mapping[str, float], example: Example) -> AttentionTransfer:
    """The loss has no options.

    Raises:
        EdgekdError: student or teacher has no stages.
    """
    stage_pairs("at", example.student, example.teacher)
    return AttentionTransfer()
