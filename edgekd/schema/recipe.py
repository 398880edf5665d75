"""The settings of a compression."""

from typing import Annotated, Literal

from pydantic import Field

from edgekd.schema.measurement import Measuring
from edgekd.schema.value import Fraction, NonNegative, Positive, PositiveInt, Value


class Training(Value):
    """How long and how fast a network learns; `None` means chosen from the data (see `recipe.default_epochs`)."""

    epochs: PositiveInt | None = None
    batch_size: PositiveInt = 128
    learning_rate: Positive = 0.1
    momentum: Fraction = 0.9
    weight_decay: NonNegative = 5e-4
    warmup: Fraction = 0.15
    """Fraction of the steps in which the learning rate rises, before it falls as a cosine."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    threads: PositiveInt | None = None
    """Of the CPU; None means as many as are fastest."""


class Recovery(Training):
    """Distillation of the student on inherited weights: `ce_weight` x CE + `kd_weight` x what the loss adds to it,
    for `kd` T^2 x KL.
    """

    learning_rate: Positive = 0.05
    teacher_precision: Literal["auto", "fp32", "bf16"] = "auto"
    loss: str = "kd"
    temperature: Positive = 4.0
    ce_weight: NonNegative = 0.1
    kd_weight: NonNegative = 0.9
    options: dict[str, NonNegative] = {}
    """Further settings of the loss by their names; unknown ones are refused."""


class Pruning(Value):
    """Structured pruning; a `ratio` of None is planned by measuring on the device."""

    method: str = "filters"
    ratio: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    margin: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.06
    """The plan aims this fraction below the latency limit, for what the trained weights may change."""
    timeout_s: Positive = 120
    memory_bytes: PositiveInt = 4_000_000_000


class Quantisation(Value):
    """Static INT8, calibrated on training images."""

    images: PositiveInt = 512


class Recipe(Value):
    """Everything that decides what `compress` does; the run writes the one that reproduces it."""

    model: str
    data: str
    target: str
    budget: str
    weights: str | None = None
    seed: Annotated[int, Field(ge=0, strict=True)] = 0
    teacher: Training = Training()
    prune: Pruning = Pruning()
    recover: Recovery = Recovery()
    quantize: Quantisation = Quantisation()
    measure: Measuring = Measuring()
