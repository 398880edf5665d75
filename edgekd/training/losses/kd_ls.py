"""Distillation of standardised logits: S. Sun, W. Ren, J. Li, R. Wang, X. Cao, "Logit Standardization in Knowledge
Distillation", 2024, arXiv:2403.01427, algorithm 1.

The standard deviation is that of the authors' code (C - 1 degrees of freedom), which adds 1e-7 to it where this uses
`centred_unit`. Their recipe for CIFAR-100 has temperature 2 and the weights 0.1 for cross-entropy and 9 for this loss.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import Example, at_least_fp32, centred_unit, required_teacher
from edgekd.training.losses.kd import kd_loss
from edgekd.training.outputs import Outputs

NEEDS: Literal["logits"] = "logits"
OPTIONS: Mapping[str, float] = {"temperature": 2.0, "min_classes": 20.0}


def standardised(logits: Tensor) -> Tensor:
    """Each image's logits (B, C) minus their mean, divided by their deviation, in at least fp32; 0 if equal."""
    return math.sqrt(logits.shape[1] - 1) * centred_unit(at_least_fp32(logits), dim=1)


def kd_ls_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """`kd_loss` of the standardised logits (B, C): the student learns their relations, not their scale and offset."""
    return kd_loss(standardised(student_logits), standardised(teacher_logits), temperature)


@dataclass(frozen=True)
class StandardisedDistillation:
    """`kd_ls_loss` with its temperature."""

    temperature: float

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        return kd_ls_loss(student.logits, required_teacher("kd_ls", student, teacher).logits, self.temperature)


def build(options: Mapping[str, float], example: Example) -> StandardisedDistillation:
    """The loss with its options: `temperature` (2), and `min_classes` (20), edgekd's choice: fewer classes are
    refused.

    Standardised logits of a confident teacher differ by sqrt(C): at T = 2 and with 10 classes that is a probability of
    0.35, and with 2 classes all logits are ±0.7 whatever they were.

    Raises:
        EdgekdError: there are too few classes.
    """
    classes, least = example.student.logits.shape[1], options["min_classes"]
    if classes < least:
        what = f"'kd_ls' with {classes} classes: standardised, so few logits contain little more than their order"
        hint = f"Use 'kd', 'dkd' or 'dist'; to try it nevertheless, set min_classes = {classes}."
        raise EdgekdError(what, hint)
    return StandardisedDistillation(options["temperature"])
