"""Distillation of standardised logits: S. Sun, W. Ren, J. Li, R. Wang, X. Cao, "Logit Standardization in Knowledge
Distillation", 2024, arXiv:2403.01427, algorithm 1.

The standard deviation is that of the authors' code (C - 1 degrees of freedom), which adds 1e-7 to it where this has
`centred_unit`. Their recipe for CIFAR-100 has temperature 2, `ce_weight` 0.1 and `kd_weight` 9.
"""

import math
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses._base import at_least_fp32, centred_unit, options, required_teacher
from edgekd.distill.losses.kd import kd_loss
from edgekd.errors import EdgekdError
from edgekd.schema import Recovery

needs_teacher = True


def standardised(logits: Tensor) -> Tensor:
    """Each image's logits (B, C) less their mean, by their standard deviation, in at least fp32; all equal: 0."""
    return math.sqrt(logits.shape[1] - 1) * centred_unit(at_least_fp32(logits), dim=1)


def kd_ls_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """`kd_loss` of the standardised logits (B, C): the student learns their relations, not their scale and offset."""
    return kd_loss(standardised(student_logits), standardised(teacher_logits), temperature)


@dataclass(frozen=True)
class StandardisedDistillation:
    """`ce_weight` · CE(student, labels) + `kd_weight` · `kd_ls_loss`, for `min_classes` or more."""

    temperature: float
    ce_weight: float
    kd_weight: float
    min_classes: float

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of a batch: logits (B, C) of both, labels (B,).

        Raises:
            EdgekdError: there are too few classes, no teacher, or it knows other classes.
        """
        taught = required_teacher("kd_ls", student_logits, teacher_logits)
        _require_classes(student_logits.shape[1], self.min_classes)
        hard = F.cross_entropy(at_least_fp32(student_logits), labels)
        soft = kd_ls_loss(student_logits, taught, self.temperature)
        return self.ce_weight * hard + self.kd_weight * soft


def _require_classes(classes: int, least: float) -> None:
    """Standardised, the logits of a sure teacher lie sqrt(C) apart: at T = 2 that is a probability of 0.35 with 10
    classes, and with 2 all logits are ±0.7 whatever they were.
    """
    if classes < least:
        what = f"'kd_ls' with {classes} classes: standardised, so few logits tell little more than their order"
        hint = f"Use 'kd', 'dkd' or 'dist'; to try it all the same, set min_classes = {classes} in [recover.options]."
        raise EdgekdError(what, hint)


def build(settings: Recovery) -> StandardisedDistillation:
    """The loss with the recipe's temperature, weights and option: `min_classes` (20), fewer are refused; the 20 is
    edgekd's choice.

    Raises:
        EdgekdError: the recipe has another option.
    """
    least = options(settings, min_classes=20.0)
    return StandardisedDistillation(settings.temperature, settings.ce_weight, settings.kd_weight, **least)
