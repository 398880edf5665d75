"""Decoupled knowledge distillation: B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge Distillation",
2022, arXiv:2203.08679, section 3, equations 6 and 7.

The authors' recipe for CIFAR-100 has temperature 4, both weights 1, alpha 1 and beta 8 (2 or 6 for some networks), and
lets the distillation's weight rise over the first 20 of 240 epochs. edgekd's choice: it doesn't rise, since a student
with inherited weights is close to its teacher from the first step. A student from scratch, few classes or a high
learning rate may need a smaller beta.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses._base import at_least_fp32, options, required_teacher
from edgekd.distill.losses.kd import kd_loss
from edgekd.schema import Recovery

needs_teacher = True


def dkd_loss(
    student_logits: Tensor, teacher_logits: Tensor, labels: Tensor, *, temperature: float, alpha: float, beta: float
) -> Tensor:
    """T² · (alpha · TCKD + beta · NCKD), the batch's mean from logits (B, C ≥ 2) and labels (B,), in at least fp32.

    TCKD is the divergence of the two-way choice between the label's class and all others, NCKD that of the choice
    among the others. Plain distillation (`kd_loss`) is the same with alpha = 1 and beta = the teacher's softened
    probability of the others (equation 6), which is small for a teacher that is sure.
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
    # gathered by index: what a mask leaves has a size that the host would have to wait for
    index = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = softened.gather(1, index + (index >= label))
    return torch.cat([softened.gather(1, label), others.logsumexp(1, keepdim=True)], dim=1), others


@dataclass(frozen=True)
class DecoupledDistillation:
    """`ce_weight` · CE(student, labels) + `kd_weight` · `dkd_loss`."""

    temperature: float
    ce_weight: float
    kd_weight: float
    alpha: float
    beta: float

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of a batch: logits (B, C) of both, labels (B,).

        Raises:
            EdgekdError: there is no teacher, or it knows other classes.
        """
        taught = required_teacher("dkd", student_logits, teacher_logits)
        hard = F.cross_entropy(at_least_fp32(student_logits), labels)
        soft = dkd_loss(student_logits, taught, labels, temperature=self.temperature, alpha=self.alpha, beta=self.beta)
        return self.ce_weight * hard + self.kd_weight * soft


def build(settings: Recovery) -> DecoupledDistillation:
    """The loss with the recipe's temperature, weights and options: `alpha` (1) of the target class, `beta` (8) of the
    others.

    Raises:
        EdgekdError: the recipe has another option.
    """
    weights = options(settings, alpha=1.0, beta=8.0)
    return DecoupledDistillation(settings.temperature, settings.ce_weight, settings.kd_weight, **weights)
