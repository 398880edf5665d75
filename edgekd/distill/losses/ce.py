"""Cross-entropy with the labels: ordinary training, and the control that any distillation has to beat."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.losses._base import at_least_fp32, options
from edgekd.schema import Recovery, Training

needs_teacher = False


@dataclass(frozen=True)
class CrossEntropy:
    """Mean over the batch of -log softmax(student_logits)[label]; a teacher is ignored."""

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor) -> Tensor:
        """The loss of a batch: logits (B, C), labels (B,)."""
        return F.cross_entropy(at_least_fp32(student_logits), labels)


def build(settings: Training) -> CrossEntropy:
    """Cross-entropy has no settings.

    Raises:
        EdgekdError: the recipe has options for it.
    """
    if isinstance(settings, Recovery):
        options(settings)
    return CrossEntropy()
