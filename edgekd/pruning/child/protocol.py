"""What the process that prunes is asked, and what it answers: one JSON document a line. Imports no torch.

The first line is an `Opening`, answered by `Ready`; then come requests, each from the network as it was opened.
Another `Opening` takes its place. An expected failure is answered by `Failure`; one of an `Opening` ends the process.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.values import Cost, PositiveInt, Structure, Value


class Opening(Value):
    """Which network is pruned; answered by `Ready`."""

    do: Literal["open"] = "open"
    model: str
    """Its name, as `zoo.build` takes it."""
    classes: PositiveInt
    channels: PositiveInt
    height: PositiveInt
    width: PositiveInt
    """Of its images, in pixels."""
    weights: Path | None = None
    """None for random ones, which do where only the structure matters."""
    definition: Path | None = None
    """What is left of the network after an earlier pruning, which the weights are then of."""
    images: Path | None = None
    """Training images: safetensors with "images" (N, C, H, W) float32, normalised, and "labels" (N,) int64."""
    channel_block: PositiveInt
    """Channels that the runtime's kernels process together."""
    memory_bytes: PositiveInt
    """The most that the process may take."""


class Judging(Value):
    """By which criterion."""

    criterion: str
    options: dict[str, Any] = Field(default_factory=dict)


class SpaceRequest(Value):
    """What can be removed; answered by a `Space`."""

    do: Literal["space"] = "space"
    kinds: tuple[Granularity, ...]


class ScoresRequest(Value):
    """How important what can go is; answered by `Scores`."""

    do: Literal["scores"] = "scores"
    judging: Judging
    saved_ms: dict[str, float] = Field(default_factory=dict)
    """Milliseconds that the network saves without a block, by the block's name."""


class PruneRequest(Value):
    """The network with this structure, written to a folder; answered by `PrunedFiles`."""

    do: Literal["prune"] = "prune"
    structure: Structure
    judging: Judging
    folder: Path


class LossRequest(Value):
    """What this structure makes of the loss, before any training; answered by `StructureLoss`."""

    do: Literal["loss"] = "loss"
    structure: Structure
    scores: Scores
    """Of the unpruned network's channels: the least important go."""
    images: PositiveInt
    """How many of the opened ones, the last; half of them repair it, the other half tell the loss."""
    threads: PositiveInt
    """That compute; other processes use the other cores."""


class Ready(Value):
    """The network is open."""


class PrunedFiles(Value):
    """A pruned network in files."""

    weights: Path
    """Safetensors."""
    definition: Path
    """The JSON document that it is rebuilt from."""
    cost: Cost


class StructureLoss(Value):
    """The loss of the structure."""

    loss: float | None
    """None: the network can't be pruned so, or its outputs aren't finite."""


class Failure(Value):
    """Why it can't be done."""

    failure: str
    """The class of `edgekd.errors`; "memory" where there isn't enough of it."""
    message: str = ""
    hint: str = ""


Request = SpaceRequest | ScoresRequest | PruneRequest | LossRequest
Answer = Ready | Space | Scores | PrunedFiles | StructureLoss

REQUEST: TypeAdapter[Opening | Request] = TypeAdapter(
    Annotated[Opening | SpaceRequest | ScoresRequest | PruneRequest | LossRequest, Field(discriminator="do")]
)
