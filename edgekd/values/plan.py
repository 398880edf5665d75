"""What a search proposes, what was measured of it, and what is decided."""

import math
from collections.abc import Collection

from edgekd.values.network import Cost, Structure
from edgekd.values.value import Interval, Value


class Proposal(Value):
    """A structure that may be taken."""

    structure: Structure
    what: str
    """What it takes out, in words that follow "without": "40 % of every layer's channels"."""


class VariantLatency(Value):
    """An untrained candidate's latency in one variant, against the budget's limit less the margin."""

    variant: str
    median_ms: float
    ratio: Interval
    """Of the median latency to the reference's, measured block by block beside it."""
    fits: bool | None
    """None: too close to the limit to decide, however long it was measured."""


class Candidate(Value):
    """A network of a proposed structure that was measured on the device before it was trained."""

    proposal: Proposal
    cost: Cost
    latencies: tuple[VariantLatency, ...] = ()

    def fits(self, variants: Collection[str]) -> tuple[str, ...]:
        """In which of these variants it meets the budget."""
        return tuple(each.variant for each in self.latencies if each.fits and each.variant in variants)

    def fastest(self, variants: Collection[str]) -> float:
        """The least latency ratio over these variants; infinite where it has none of them."""
        return min((each.ratio.estimate for each in self.latencies if each.variant in variants), default=math.inf)


class Plan(Value):
    """The structure that was chosen before training, and the measurements that say why."""

    proposal: Proposal
    feasible: bool | None
    """Whether the candidate met the budget; None where nothing was measured."""
    variants: tuple[str, ...] = ()
    """In which the candidate met the budget."""
    candidates: tuple[Candidate, ...] = ()
    """In the order of their structures, the whole network first."""
    further: Proposal | None = None
    """The next smaller structure, for when the trained network misses the latency by a little."""
    why: str

    @property
    def structure(self) -> Structure:
        """The one that was chosen."""
        return self.proposal.structure
