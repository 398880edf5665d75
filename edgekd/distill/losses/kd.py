"""Knowledge distillation on logits: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network",
2015, arXiv:1503.02531, section 2.
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses._base import at_least_fp32, options, required_teacher
from edgekd.schema import Recovery

needs_teacher = True


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(z_t / T) ‖ softmax(z_s / T)), the mean over the batch of logits (B, C), in at least fp32.

    T² keeps the gradient's size when T changes, so that the weights of the two losses keep their meaning.
    """
    student = F.log_softmax(at_least_fp32(student_logits) / temperature, dim=1)
    teacher = F.log_softmax(at_least_fp32(teacher_logits.detach()) / temperature, dim=1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@dataclass(frozen=True)
class Distillation:
    """`ce_weight` · CE(student, labels) + `kd_weight` · `kd_loss`."""

    temperature: float
    ce_weight: float
    kd_weight: float

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of a batch: logits (B, C) of both, labels (B,).

        Raises:
            EdgekdError: there is no teacher, or it knows other classes.
        """
        taught = required_teacher("kd", student_logits, teacher_logits)
        hard = F.cross_entropy(at_least_fp32(student_logits), labels)
        return self.ce_weight * hard + self.kd_weight * kd_loss(student_logits, taught, self.temperature)


def build(settings: Recovery) -> Distillation:
    """The loss with the recipe's temperature and weights; it has no options.

    Raises:
        EdgekdError: the recipe has options for it.
    """
    return Distillation(settings.temperature, settings.ce_weight, settings.kd_weight, **options(settings))
