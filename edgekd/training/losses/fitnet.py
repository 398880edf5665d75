"""Hints: A. Romero, N. Ballas, S. Ebrahimi Kahou, A. Chassang, C. Gatta, Y. Bengio, "FitNets: Hints for Thin Deep
Nets", 2015, arXiv:1412.6550, equation 3.

The paper uses half the squared distance and first trains the student up to the hint, then on logits. This is the mean
squared difference, as in mdistiller's code, whose recipe for CIFAR-100 adds it to cross-entropy with the weight 100.
edgekd's choice: the regressor is a plain 1×1 convolution; mdistiller's is followed by batch normalisation and a ReLU.
"""

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import Example
from edgekd.training.losses._features import full_precision, projection, same_size, stage_pairs
from edgekd.training.outputs import Outputs

NEEDS: Literal["features"] = "features"
OPTIONS: Mapping[str, float] = {"stage": 0.0}


def hint_loss(guided: Tensor, hint: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The mean squared difference of the regressor's output and the hint, a constant, in at least fp32.

    Args:
        guided: the student's features (B, C_s, H_s, W_s).
        hint: the teacher's (B, C_t, H_t, W_t); the larger one is average-pooled to the smaller one's size.
        weight: the regressor's, (C_t, C_s, 1, 1).
        bias: the regressor's, (C_t,), if it has one.
    """
    guided, hint = same_size(guided, hint.detach())
    with full_precision(guided):
        return F.mse_loss(F.conv2d(guided, weight, bias), hint)


class Hint(nn.Module):
    """`hint_loss` of one pair of stages, with a regressor that is trained with the student.

    Args:
        stage: which pair, from 1.
        guided: the student's features of that stage, (B, C, H, W).
        hint: the teacher's.
    """

    def __init__(self, stage: int, guided: Tensor, hint: Tensor) -> None:
        super().__init__()
        self.stage = stage
        self.regressor = projection(guided, hint)

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        guided, hint = stage_pairs("fitnet", student, teacher)[self.stage - 1]
        return hint_loss(guided, hint, self.regressor.weight, self.regressor.bias)

    def __repr__(self) -> str:
        return f"Hint(stage={self.stage}, channels={self.regressor.in_channels}→{self.regressor.out_channels})"


def build(options: Mapping[str, float], example: Example) -> Hint:
    """The loss with its option: `stage`, which of the stages that student and teacher have in common is the hint,
    counted from 1.

    The default, 0, is the middle one (the later of two): the paper uses the middle layer.

    Raises:
        EdgekdError: there is no such stage, or no stages at all.
    """
    pairs = stage_pairs("fitnet", example.student, example.teacher)
    stage = options["stage"] or len(pairs) // 2 + 1
    if stage not in range(1, len(pairs) + 1):
        what = f"'fitnet' with stage = {stage:g}: student and teacher have {len(pairs)} stages in common"
        raise EdgekdError(what, f"Give an integer up to {len(pairs)}, or 0 for the middle stage.")
    return Hint(int(stage), *pairs[int(stage) - 1])
