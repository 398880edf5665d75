"""Cross-entropy with the labels: ordinary training, and the control for every distillation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from edgekd.training.losses._base import Example, at_least_fp32
from edgekd.training.outputs import Outputs

NEEDS: Literal["labels"] = "labels"
OPTIONS: Mapping[str, float] = {}


@dataclass(frozen=True)
class CrossEntropy:
    """Mean over the batch of -log softmax(logits)[label]; a teacher is ignored."""

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch."""
        return F.cross_entropy(at_least_fp32(student.logits), labels)


def build(options: Mapping[str, float], example: Example) -> CrossEntropy:
    """Cross-entropy has no options."""
    return CrossEntropy()
