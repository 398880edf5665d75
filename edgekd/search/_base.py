"""What a search is.

A search is a module in `edgekd/search/`; its file name is its name. It decides on a structure before anything is
trained: latency depends on a network's shape, not on its weights.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edgekd.catalog import Kind
from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.values import Candidate, Plan, Proposal, SearchSettings, Structure, Value

WHOLE = Proposal(structure=Structure(), what="nothing")
"""The network as it is."""


@dataclass(frozen=True)
class Question:
    """What is asked of a search."""

    granularity: Granularity
    """What the recipe's criterion ranks: channels, blocks or single weights."""
    settings: SearchSettings
    """The recipe's [search]."""
    options: Any
    """An instance of the search's `Options`."""
    fractions: tuple[float, ...] = ()
    """The fractions of the single weights that the criterion can take; none stated: any."""
    has_device: bool = False
    """Whether candidates can be measured."""
    variants: frozenset[str] = frozenset()
    """Those that count: in the others the unpruned network failed its check, or a trained one did."""
    seen: tuple[Candidate, ...] = ()
    """Candidates that were measured before."""


class Candidates(Protocol):
    """What a search may find out about the network. Answers are kept, so that asking again costs nothing.

    All of it may raise UnsupportedModelError where the network can't be pruned so.
    """

    @property
    def space(self) -> Space:
        """What of the question's granularity can be taken out of the network."""

    def scores(self) -> Scores:
        """What the recipe's criterion says of it."""

    def left(self, structure: Structure, what: Collection[str]) -> Mapping[str, float]:
        """How much of the unpruned network is left, as fractions of "parameters", "macs" or "transfer_bytes"."""

    def measure(self, proposal: Proposal) -> Candidate:
        """The network of that structure, untrained, measured on the device in every variant."""


class Search(Protocol):
    """The members of a search's module."""

    @property
    def Options(self) -> type[Value]:
        """Its own settings with their defaults; a recipe with another one is refused."""

    def check(self, question: Question) -> None:
        """Raises EdgekdError if the question can't be answered, before anything is trained."""

    def trials(self, question: Question, space: Space) -> tuple[Proposal, ...]:
        """Structures like those that may be found: pruned with random weights before anything is trained, they show
        whether the network can be pruned. The space is of a network with random weights.
        """

    def find(self, question: Question, candidates: Candidates) -> Plan:
        """The structure that meets the budget, or the best of those measured.

        Raises:
            EdgekdError: there is none, or the question's settings don't do.
        """


SEARCHES = Kind[Search]("search", "search")
