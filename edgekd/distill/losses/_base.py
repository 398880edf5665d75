"""What a loss module provides.

A loss module has one loss: a pure function of logits, the frozen dataclass that holds its settings and calls it, and
`build`, which makes that from a recipe.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.linalg import vector_norm

from edgekd.catalog import nearest
from edgekd.errors import EdgekdError
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
        """The loss with the recipe's settings.

        Raises:
            EdgekdError: the recipe has an option that this loss doesn't have.
        """


def at_least_fp32(logits: Tensor) -> Tensor:
    """The logits in fp32, or fp64 if they are: a softmax in bf16 would keep 8 bits of a probability."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def options(settings: Recovery, **defaults: float) -> dict[str, float]:
    """The recipe's options of the loss, each by its name, over the loss's defaults.

    Raises:
        EdgekdError: the recipe has an option that isn't one of the defaults.
    """
    for name in settings.options:
        if name not in defaults:
            hint = nearest(name, defaults) if defaults else f"{settings.loss!r} has no options."
            raise EdgekdError(f"recover.options: the loss {settings.loss!r} has no {name!r}", hint)
    return {**defaults, **settings.options}


def required_teacher(loss: str, student_logits: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """The teacher's logits, as constants of the student's shape.

    Raises:
        EdgekdError: there is no teacher, or it knows other classes.
    """
    if teacher_logits is None:
        raise EdgekdError(f"the loss {loss!r} needs a teacher", "Give one, or use the loss 'ce'.")
    if teacher_logits.shape != student_logits.shape:
        what = f"the teacher gives {teacher_logits.shape[1]} classes, the student {student_logits.shape[1]}"
        raise EdgekdError(what, "Use a teacher that was trained on the student's data.")
    return teacher_logits.detach()


def centred_unit(values: Tensor, dim: int) -> Tensor:
    """The values less their mean, scaled to length 1 along `dim`: their scale and offset are gone.

    Values that are equal to rounding have no direction: they give zeros, and no gradient, where the formula would give
    0 / 0 and a gradient without bound.
    """
    centred = values - values.mean(dim, keepdim=True)
    length: Tensor = vector_norm(centred, dim=dim, keepdim=True)
    flat = length <= 1e-6 * vector_norm(values, dim=dim, keepdim=True)
    return (centred / length.masked_fill(flat, 1)).masked_fill(flat, 0)
