"""What a criterion is: scores of channels, of blocks or of single weights, of which the least go first.

A criterion is a module in `edgekd/pruning/criteria/`; its file name is its name. How many go is a search's to decide
(`edgekd.search`), and taking them out is the same for all criteria (`edgekd.pruning.apply`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from edgekd.catalog import Kind
from edgekd.pruning.graph import Group
from edgekd.pruning.space import Block
from edgekd.values import Value


class NoOptions(Value):
    """The options of a criterion that has none."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is judged, and what a criterion may know of it. No criterion changes any of it."""

    model: nn.Module
    """In eval mode; some of it may have been pruned before."""
    example: Tensor
    """One input (1, C, H, W)."""
    images: Tensor
    """Training images (N, C, H, W), normalised; N may be 0 where `NEEDS_IMAGES` is false."""
    labels: Tensor
    """Their classes (N,) int64."""
    options: Any
    """An instance of the criterion's `Options`."""
    saved_ms: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds that the network saves on the device without a block, by the block's name; measured where
    `NEEDS_LATENCY` is true."""


class _Criterion(Protocol):
    """The members of every criterion's module."""

    @property
    def Options(self) -> type[Value]:
        """Its own settings with their defaults; a recipe with another one is refused."""

    @property
    def NEEDS_IMAGES(self) -> bool:
        """Whether it judges by `Subject.images`; where it doesn't, none are read."""

    @property
    def NEEDS_LATENCY(self) -> bool:
        """Whether it judges by `Subject.saved_ms`; where it doesn't, none are measured."""


class ChannelCriterion(_Criterion, Protocol):
    """A criterion that scores channels."""

    SCORES: Literal["channels"]

    def scores(self, subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
        """The importance of each channel of each group, (width,), at least 0; the least important go.

        Args:
            subject: what is judged; its model's layers are those of the groups. Gradients that are left in its
                parameters do no harm, other changes do.
            groups: channels that can only go together.

        Raises:
            EdgekdError: the options, or the images, don't do.
        """


class BlockCriterion(_Criterion, Protocol):
    """A criterion that scores blocks."""

    SCORES: Literal["blocks"]

    def scores(self, subject: Subject, blocks: Sequence[Block]) -> Mapping[str, float]:
        """The importance of each block that can go, by its name; the least important go first.

        Args:
            subject: what is judged.
            blocks: all of the network's, in their order.

        Raises:
            EdgekdError: the options, the images or the latencies don't do.
        """


class WeightCriterion(_Criterion, Protocol):
    """A criterion that scores single weights."""

    SCORES: Literal["weights"]
    FRACTIONS: tuple[float, ...]
    """The fractions of all weights that it can take; none stated: any."""

    def scores(self, subject: Subject, layers: Sequence[nn.Module]) -> tuple[Tensor, ...]:
        """The importance of each weight, tensors of the weights' shapes; the least important become zero, of equal ones
        the first. Weights that score infinity stay, and don't count in the fraction.

        Args:
            subject: what is judged.
            layers: convolutions, of weights (out, in / groups, ...), and linear layers, of weights (out, in); of those
                that share a weight, one.

        Raises:
            EdgekdError: the options don't do.
        """


Criterion = ChannelCriterion | BlockCriterion | WeightCriterion

CRITERIA = Kind[Criterion]("pruning.criteria", "pruning criterion")
