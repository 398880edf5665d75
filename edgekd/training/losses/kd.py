"""Knowledge distillation on logits: G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural Network",
2015, arXiv:1503.02531, section 2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from edgekd.training.losses._base import Example, at_least_fp32, required_teacher
from edgekd.training.outputs import Outputs

NEEDS: Literal["logits"] = "logits"
OPTIONS: Mapping[str, float] = {"temperature": 4.0}


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """T² · KL(softmax(z_t / T) ‖ softmax(z_s / T)), the mean over the batch of logits (B, C), in at least fp32.

    T² makes the size of the gradient independent of T, so the weights of the losses needn't be adapted.
    """
    student = F.log_softmax(at_least_fp32(student_logits) / temperature, dim=1)
    teacher = F.log_softmax(at_least_fp32(teacher_logits.detach()) / temperature, dim=1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


@dataclass(frozen=True)
class Distillation:
    """`kd_loss` with its temperature."""

    temperature: float

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        return kd_loss(student.logits, required_teacher("kd", student, teacher).logits, self.temperature)


def build(options: Mapping[str, float], example: Example) -> Distillation:
    """The loss with its option: `temperature` (4)."""
    return Distillation(**options)
