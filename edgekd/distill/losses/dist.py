"""DIST, distillation by correlation: T. Huang, S. You, F. Wang, C. Qian, C. Xu, "Knowledge Distillation from A Stronger
Teacher", 2022, arXiv:2205.10536, section 4.

The factor T² is that of the authors' code, which adds 1e-8 to a divisor where this has `centred_unit`. torchdistill's
recipe for ImageNet has temperature 1, `ce_weight` 1 and `kd_weight` 2.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses._base import at_least_fp32, centred_unit, options, required_teacher
from edgekd.schema import Recovery

needs_teacher = True


def pearson_distance(student: Tensor, teacher: Tensor, dim: int) -> Tensor:
    """1 - Pearson's correlation along `dim`, the mean over the other axis; from 0 to 2.

    It doesn't change with the scale and offset of either. Where all values are equal to rounding (a class in a batch of
    one image, say) edgekd's choice is a correlation of 0 without gradient.
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
    """`ce_weight` · CE(student, labels) + `kd_weight` · `dist_loss`."""

    temperature: float
    ce_weight: float
    kd_weight: float
    beta: float
    gamma: float

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of a batch: logits (B, C) of both, labels (B,).

        Raises:
            EdgekdError: there is no teacher, or it knows other classes.
        """
        taught = required_teacher("dist", student_logits, teacher_logits)
        hard = F.cross_entropy(at_least_fp32(student_logits), labels)
        soft = dist_loss(student_logits, taught, temperature=self.temperature, beta=self.beta, gamma=self.gamma)
        return self.ce_weight * hard + self.kd_weight * soft


def build(settings: Recovery) -> CorrelationDistillation:
    """The loss with the recipe's temperature, weights and options: `beta` (1) of the relations between an image's
    classes, `gamma` (1) of those between the images of a class.

    Raises:
        EdgekdError: the recipe has another option.
    """
    weights = options(settings, beta=1.0, gamma=1.0)
    return CorrelationDistillation(settings.temperature, settings.ce_weight, settings.kd_weight, **weights)
