"""What a pruning method is.

A method is a module in `edgekd/pruning/methods/`; its file name is its name. One that narrows layers needs only a score
of its own for each channel and hands it to `narrow`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor, nn

from edgekd.catalog import Kind

Option = float | str


@dataclass(frozen=True, eq=False)
class Subject:
    """The network to prune, and what a method may know of it. No method changes any of it."""

    model: nn.Module
    """In eval mode. What was pruned before is pruned further, see `original`."""
    example: Tensor
    """One input (1, C, H, W)."""
    block: int
    """Channels that the runtime's kernels process together: widths become multiples of it."""
    original: nn.Module
    """The network as it was before anything was pruned, in eval mode; ratios are of this one. Its weights mean nothing
    where `model` was pruned before."""
    images: Tensor
    """Training images (N, C, H, W), normalised, for methods that judge by data; N may be 0."""
    labels: Tensor
    """Their classes (N,) int64."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """The recipe's, all of them known to the method; what isn't stated has the method's default."""
    costs: Mapping[str, float] = field(default_factory=dict)
    """Milliseconds that the network saves without a block, by the block's name. Measured where the option `order` is
    "latency"."""


@dataclass(frozen=True)
class Student:
    """A pruned network in eval mode, and what is left of it: the layers that the method narrowed, by their names in
    the network, with the output channels of the unpruned one that they kept; the blocks it took out.
    """

    model: nn.Module
    kept: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    surviving: nn.Module | None = None
    """The same network with the surviving weights, where `model` was given others."""


class Method(Protocol):
    """The members of a pruning method's module."""

    @property
    def OPTIONS(self) -> Mapping[str, Option]:
        """Its options with their defaults; a recipe with another one, or a value of another type, is refused."""

    @property
    def CHOICES(self) -> Mapping[str, tuple[str, ...]]:
        """The words that an option can be, by the option's name; an option that isn't here can be any."""

    @property
    def NEEDS_IMAGES(self) -> bool:
        """Whether any of its options judges by `Subject.images`; where none does, none are read."""

    def levels(self, subject: Subject) -> tuple[float, ...]:
        """The ratios that give different networks, rising from 0.0."""

    def prune(self, subject: Subject, ratio: float) -> Student:
        """A smaller copy of the model with its surviving weights; `ratio` in [0, 1) of the original is gone.

        A ratio of 0 gives an equal copy, whatever the model. The classes stay as they are.

        Raises:
            EdgekdError: the options, or the data, don't do.
        """


METHODS = Kind[Method]("pruning.methods", "pruning method")
