"""The interface of a loss module.

A loss module contains one loss: a pure function of tensors, the frozen dataclass (or `nn.Module`, if it has trainable
parameters) that holds its settings and calls it, and `build`, which creates that from a recipe's options.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.linalg import vector_norm

from edgekd.catalog import Kind
from edgekd.errors import EdgekdError
from edgekd.training.outputs import Outputs


class Loss(Protocol):
    """One term of the objective. Its `repr` is part of a checkpoint's key.

    A loss with parameters is an `nn.Module`: they are trained with the student and discarded afterwards.
    """

    def __call__(self, student: Outputs, teacher: Outputs | None, labels: Tensor, /) -> Tensor:
        """The batch's mean loss, a scalar of at least fp32; labels are (B,) int64.

        The gradient goes to the student (and the loss's own parameters) alone. `teacher` is None when there is none.
        """


@dataclass(frozen=True, eq=False)
class Example:
    """The outputs of student and teacher for a few images: the shapes that a loss is built for."""

    student: Outputs
    teacher: Outputs | None
    kept: tuple[tuple[int, ...] | None, ...] = ()
    """For each of the student's stages, the teacher's channels that it kept; None if unknown."""


class LossModule(Protocol):
    """The members of a loss module."""

    @property
    def NEEDS(self) -> Literal["labels", "logits", "features"]:
        """What it needs besides the student's logits: only labels, the teacher's logits, or features of both."""

    @property
    def OPTIONS(self) -> Mapping[str, float]:
        """Its options with their defaults."""

    def build(self, options: Mapping[str, float], example: Example) -> Loss:
        """The loss, given all of its options.

        Raises:
            EdgekdError: an option's value, the number of classes, or the features are unsuitable.
        """


LOSSES = Kind[LossModule]("training.losses", "loss")


def at_least_fp32(values: Tensor) -> Tensor:
    """The values in fp32, or in fp64 if they already are: a softmax in bf16 has only 8 bits per probability."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def required_teacher(loss: str, student: Outputs, teacher: Outputs | None) -> Outputs:
    """The teacher's outputs as constants.

    Raises:
        EdgekdError: there is no teacher, or it has another number of classes.
    """
    if teacher is None:
        raise EdgekdError(f"the loss {loss!r} needs a teacher", "Specify one, or use the loss 'ce'.")
    if teacher.logits.shape != student.logits.shape:
        what = f"the teacher has {teacher.logits.shape[1]} classes, the student {student.logits.shape[1]}"
        raise EdgekdError(what, "Use a teacher that was trained on the student's data.")
    return teacher.detached()


def centred_unit(values: Tensor, dim: int) -> Tensor:
    """The values minus their mean, scaled to length 1 along `dim`, which removes scale and offset.

    Values that are equal up to rounding have no direction: the result is zero, without a gradient, where the formula
    would give 0 / 0 and an unbounded gradient.
    """
    centred = values - values.mean(dim, keepdim=True)
    length: Tensor = vector_norm(centred, dim=dim, keepdim=True)
    flat = length <= 1e-6 * vector_norm(values, dim=dim, keepdim=True)
    return (centred / length.masked_fill(flat, 1)).masked_fill(flat, 0)
