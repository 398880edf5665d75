"""What a loss module provides.

A loss module has one loss: a pure function of logits, the frozen dataclass that holds its settings and calls it, and
`build`, which makes that from a recipe.
"""

from typing import Protocol

import torch
from torch import Tensor

from edgekd.schema import Recovery


class Loss(Protocol):
    """What a student minimises; a frozen dataclass, whose `repr` tells a checkpoint which loss it was made with."""

    def __call__(self, student_logits: Tensor, teacher_logits: Tensor | None, labels: Tensor, /) -> Tensor:
        """The batch's mean loss, a scalar of at least fp32, from logits (B, C) and labels (B,) int64.

        The gradient goes to the student alone. `teacher_logits` is None when there is no teacher.
        """


class LossModule(Protocol):
    """The members of a loss module."""

    needs_teacher: bool

    def build(self, settings: Recovery) -> Loss:
        """The loss with the recipe's settings."""


def at_least_fp32(logits: Tensor) -> Tensor:
    """The logits in fp32, or fp64 if they are: a softmax in bf16 would keep 8 bits of a probability."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
