"""How a network was trained."""

from typing import Literal

from pydantic import Field

from edgekd.values.race import TrainedBy
from edgekd.values.value import Fraction, NonNegative, NonNegativeInt, PositiveInt, Value

Convolutions = Literal["native", "depthwise", "matrices"]
"""How convolutions without bias train in bf16 on a CPU. `native`: by PyTorch's kernels. `depthwise`: the backward pass
of depthwise ones in fp32. `matrices`: that, and dense ones of many channels on small maps as products of matrices.
"""


class Execution(Value):
    """How the arithmetic of training runs: it changes the speed, and the result by rounding."""

    precision: Literal["fp32", "bf16"] = "fp32"
    teacher_precision: Literal["fp32", "bf16"] = "fp32"
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    convolutions: Convolutions = "native"
    threads: PositiveInt | None = None
    """Of the CPU; as many as torch wants if None."""
    compiled: bool = False
    """By torch.compile; not where a loss reads features."""
    images_per_second: dict[str, float] = Field(default_factory=dict)
    """What was timed to choose this, by name; empty if nothing was."""


class EpochRecord(Value):
    """What one epoch of a training came to."""

    loss: float
    """Mean training loss."""
    validation: Fraction
    """Top-1 accuracy on the validation images, after it, in the precision of the training."""
    learning_rate: NonNegative | None = None
    """Of its last step; None where an earlier version began the training."""
    kept: bool = False
    """Whether the training ended with the weights after this one."""


class TrainingRecord(Value):
    """What a training did."""

    epochs: NonNegativeInt
    best_epoch: NonNegativeInt
    """The one that the weights are of, from 1; 0 if those before the training were kept, as they are more accurate."""
    seconds: float
    """Over all epochs: the data and the teacher included, validation not. What was trained until it diverged counts."""
    images_per_second: float
    learning_rate: float | None = None
    """The highest, where the recipe's one made the training diverge; gradients were clipped then."""
    features_alone: bool = False
    """Whether only features were trained, so that the accuracy doesn't show what was learned."""
    execution: Execution
    trained_by: tuple[TrainedBy, ...] = ()
    """What the trainings of a student minimised so far, this one last."""
    history: tuple[tuple[EpochRecord, ...], ...] = ()
    """The epochs of every training so far, this one last; empty where an earlier version trained."""
