"""What a pruning method is.

A method is a module in `edgekd/prune/methods/`; its file name is its name. One that narrows layers needs only a score
of its own for each channel: `prune = partial(narrow.narrow, scores=scores)` and `levels = narrow.levels`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class Student:
    """A pruned network in eval mode, and what is left of the layers that the method narrowed: their names in the
    network, with the output channels of the unpruned one that they kept.
    """

    model: nn.Module
    kept: Mapping[str, tuple[int, ...]]


class Method(Protocol):
    """The members of a pruning method's module. Neither changes the model it is given."""

    def levels(self, model: nn.Module, example: Tensor, *, block: int) -> tuple[float, ...]:
        """The ratios that give different networks, rising from 0.0.

        `example` is one input (1, C, H, W); widths become multiples of `block`.
        """

    def prune(self, model: nn.Module, example: Tensor, *, ratio: float, block: int) -> Student:
        """A smaller copy of the model with its surviving weights; `ratio` in [0, 1) of it goes.

        A ratio of 0 gives an equal copy, whatever the model. The classes stay as they are.
        """
