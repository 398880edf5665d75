"""The interface of a search.

A search is a module in `edgekd/search/`; its file name is its name. It chooses a structure before the student is
trained: latency depends on a network's shape, not on its weights.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgekd.catalog import Kind
from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.values import Candidate, Plan, Proposal, SearchSettings, Structure, Value
from edgekd.values.plan import TracedNetwork

WHOLE = Proposal(structure=Structure(), what="nothing")
"""The unpruned network."""


@dataclass(frozen=True)
class Question:
    """The input of a search."""

    granularity: Granularity
    """What the recipe's criterion scores: channels, blocks or single weights."""
    settings: SearchSettings
    """The recipe's [search]."""
    options: Any
    """An instance of the search's `Options`."""
    fractions: tuple[float, ...] = ()
    """The fractions of single weights that the criterion supports; empty: any."""
    has_device: bool = False
    """Whether candidates can be measured."""
    variants: frozenset[str] = frozenset()
    """The variants to consider: in the others the unpruned network, or a trained one, failed its check."""
    seen: tuple[Candidate, ...] = ()
    """Candidates that were measured before."""
    epochs: int | None = None
    """Of the student's training, than which trying structures is to take no longer; None: it was asked for by name."""


class Candidates(Protocol):
    """The information about the network that a search can query. Results are cached.

    All methods may raise UnsupportedModelError if the network can't be pruned in this way.
    """

    @property
    def space(self) -> Space:
        """What can be pruned at the question's granularity."""

    def scores(self) -> Scores:
        """The scores of the recipe's criterion."""

    def left(self, structure: Structure, what: Collection[str]) -> Mapping[str, float]:
        """The remaining fractions of the unpruned network's "parameters", "macs" or "transfer_bytes"."""

    @property
    def epochs_a_structure(self) -> float:
        """What telling the loss of one structure takes, roughly, in epochs of the student's training."""

    def losses(self, structures: Sequence[Structure], *, tried: int = 0, most: int = 0) -> tuple[float | None, ...]:
        """The loss on training images of the untrained but repaired network with each structure; None where it can't be
        pruned so. For who waits: how many were tried before, of how many at most; 0: these are all.
        """

    @property
    def integers(self) -> Collection[str]:
        """The names of those variants that compute layers in integers, or some of them."""

    def traced(self, structures: Sequence[Structure], variant: str) -> tuple[TracedNetwork, ...]:
        """The times of untrained networks of these structures on the device, in the variant of that name, or in one
        that is made sooner and takes its time by the same kernels; without those that can't be made.
        """

    def measure(self, proposal: Proposal) -> Candidate:
        """Measure the untrained network of that structure on the device in every variant."""


class Search(Protocol):
    """The members of a search's module."""

    @property
    def Options(self) -> type[Value]:
        """The search's settings with their defaults; other settings in a recipe are rejected."""

    def check(self, question: Question) -> None:
        """Raises EdgekdError if the question can't be answered; called before anything is trained."""

    def trials(self, question: Question, space: Space) -> tuple[Proposal, ...]:
        """Structures similar to the possible results. They are pruned with random weights before anything is trained,
        to find out whether the network can be pruned. The space is that of a network with random weights.
        """

    def find(self, question: Question, candidates: Candidates) -> Plan:
        """The structure that meets the budget, or the best of those measured.

        Raises:
            EdgekdError: there is none, or the question's settings are unsuitable.
        """


SEARCHES = Kind[Search]("search", "search")
