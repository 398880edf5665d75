"""DIST, distillation by correlation: T. Huang, S. You, F. Wang, C. Qian, C. Xu, "Knowledge Distillation from A Stronger
Teacher", 2022, arXiv:2205.10536, section 4.

The factor T² is from the authors' code, which adds 1e-8 to a divisor where this uses `centred_unit`. torchdistill's
recipe for ImageNet has temperature 1 and the weights 1 for cross-entropy and 2 for this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from edgekd.training.losses._base import Example, at_least_fp32, centred_unit, required_teacher
from edgekd.training.outputs import Outputs

NEEDS: Literal["logits"] = "logits"
OPTIONS: Mapping[str, float] = {"temperature": 4.0, "beta": 1.0, "gamma": 1.0}


def pearson_distance(student: Tensor, teacher: Tensor, dim: int) -> Tensor:
    """1 - Pearson's correlation along `dim`, the mean over the other axis; from 0 to 2.

    It is invariant to the scale and offset of either. If all values are equal up to rounding (for example a class in a
    batch of one image), edgekd's choice is a correlation of 0 without gradient.
    """
    return 1 - (centred_unit(student, dim) * centred_unit(teacher, dim)).sum(dim).mean()


def dist_loss(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: float, beta: float, gamma: float
) -> Tensor:
    """T² · (beta · inter + gamma · intra) of the softened probabilities, from logits (B, C), in at least fp32.

    `inter` is the Pearson distance over an image's classes, `intra` that over the batch's images of one class.
    """
    student = F.softmax(at_least_fp32(student_logits) / temperature, dim=1)
    teacher = F.softmax(at_least_fp32(teacher_logits.detach()) / temperature, dim=1)
    inter = pearson_distance(student, teacher, dim=1)
    intra = pearson_distance(student, teacher, dim=0)
    return temperature**2 * (beta * inter + gamma * intra)


@dataclass(frozen=True)
class CorrelationDistillation:
    """`dist_loss` with its settings."""

    temperature: float
    beta: float
    gamma: float

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        constant = required_teacher("dist", student, teacher).logits
        return dist_loss(student.logits, constant, temperature=self.temperature, beta=self.beta, gamma=self.gamma)


def build(options: Mapping[str, float], example: Example) -> CorrelationDistillation:
    """The loss with its options: `temperature` (4), `beta` (1) weighs the relations between an image's classes, `gamma`
    (1) those between the images of a class.
    """
    return CorrelationDistillation(**options)
