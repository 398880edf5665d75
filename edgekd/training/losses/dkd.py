"""Decoupled knowledge distillation: B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge Distillation",
2022, arXiv:2203.08679, section 3, equations 6 and 7.

The authors' recipe for CIFAR-100 has temperature 4, both weights 1, alpha 1 and beta 8 (2 or 6 for some networks), and
a weight of the distillation that increases over the first 20 of 240 epochs. edgekd's choice: the weight is constant,
because a student with inherited weights is close to its teacher from the first step. A student trained from scratch,
few classes or a high learning rate may need a smaller beta.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from edgekd.training.losses._base import Example, at_least_fp32, required_teacher
from edgekd.training.losses.kd import kd_loss
from edgekd.training.outputs import Outputs

NEEDS: Literal["logits"] = "logits"
OPTIONS: Mapping[str, float] = {"temperature": 4.0, "alpha": 1.0, "beta": 8.0}


def dkd_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, temperature: float, alpha: float, beta: float
) -> Tensor:
    """T² · (alpha · TCKD + beta · NCKD), the batch's mean from logits (B, C ≥ 2) and labels (B,), in at least fp32.

    TCKD is the divergence of the binary distribution of the label's class and all others, NCKD that of the
    distribution among the others. Plain distillation (`kd_loss`) is the case alpha = 1 and beta = the teacher's
    softened probability of the others (equation 6), which is small for a confident teacher.
    """
    student_target, student_others = _decoupled(student_logits, labels, temperature)
    teacher_target, teacher_others = _decoupled(teacher_logits, labels, temperature)
    target = kd_loss(student_target, teacher_target, temperature=1)
    others = kd_loss(student_others, teacher_others, temperature=1)
    return temperature**2 * (alpha * target + beta * others)


def _decoupled(logits: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Softened logits of the label's class against all others (B, 2), and of the others among themselves (B, C - 1)."""
    softened = at_least_fp32(logits) / temperature
    label = labels.unsqueeze(1)
    # gathered by index: with a mask, the host would wait for the size of the result
    index = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = softened.gather(1, index + (index >= label))
    return torch.cat([softened.gather(1, label), others.logsumexp(1, keepdim=True)], dim=1), others


@dataclass(frozen=True)
class DecoupledDistillation:
    """`dkd_loss` with its settings."""

    temperature: float
    alpha: float
    beta: float

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        constant = required_teacher("dkd", student, teacher).logits
        return dkd_loss(
            student.logits, constant, labels, temperature=self.temperature, alpha=self.alpha, beta=self.beta
        )


def build(options: Mapping[str, float], example: Example) -> DecoupledDistillation:
    """The loss with its options: `temperature` (4), `alpha` (1) for the target class, `beta` (8) for the others."""
    return DecoupledDistillation(**options)
