"""What a search proposes, what was measured of it, and what is decided."""

import math
from collections.abc import Collection

from edgekd.values.network import Cost, Structure
from edgekd.values.value import Interval, NonNegativeInt, PositiveInt, Value


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
    of_limit: float | None = None
    """The latency divided by the one that is allowed; None where the budget doesn't limit it."""


class TracedNetwork(Value):
    """An untrained network of some structure as the device timed it in one variant."""

    structure: Structure
    variant: str
    latency: float
    """The median of whole inferences, without tracing, in latencies of the reference."""
    layers: dict[str, float]
    """What each layer took when it was traced, in the same unit, by the layer's name; none of a layer whose node wasn't
    found.
    """
    clock_us: float = 0.0
    """Of which the runtime reports whole multiples for layers; 0: it is finer."""


class Candidate(Value):
    """A network of a proposed structure that was measured on the device before it was trained."""

    proposal: Proposal
    cost: Cost
    latencies: tuple[VariantLatency, ...] = ()
    predicted: float | None = None
    """The latency ratio that a table predicted, in its variant."""

    def fits(self, variants: Collection[str]) -> tuple[str, ...]:
        """In which of these variants it meets the budget."""
        return tuple(each.variant for each in self.latencies if each.fits and each.variant in variants)

    def fastest(self, variants: Collection[str]) -> float:
        """The least latency ratio over these variants; infinite where it has none of them."""
        return min((each.ratio.estimate for each in self.latencies if each.variant in variants), default=math.inf)


class Staircase(Value):
    """The widths of a channel group that differ in time."""

    root: str
    width: PositiveInt
    """Unpruned."""
    chosen: NonNegativeInt
    """0: it went with its block."""
    latencies: dict[int, float]
    """Predicted for the whole network with this group alone at each width, in latencies of the reference."""


class Structured(Value):
    """A structure as a table sees it."""

    structure: Structure
    latency: float
    """Predicted, in latencies of the reference."""
    loss: float | None
    """Of the untrained network on training images, repaired."""


class LatencyTable(Value):
    """What a search by a table was based on."""

    variant: str
    networks: PositiveInt
    """Traced, of random structure."""
    typical_error: float
    """The median of the relative errors of latencies predicted for networks that were held back."""
    worst_error: float
    unpruned: Structured
    chosen: Structured
    uniform: Structured | None = None
    """The least pruned in the same ratio of every layer that is predicted to be as fast."""
    staircases: tuple[Staircase, ...] = ()


class Plan(Value):
    """The structure that was chosen before training, and the measurements that say why."""

    proposal: Proposal
    feasible: bool | None
    """Whether the candidate met the budget; None where nothing was measured."""
    variants: tuple[str, ...] = ()
    """In which the candidate met the budget."""
    candidates: tuple[Candidate, ...] = ()
    """In the order of their structures, the whole network first."""
    table: LatencyTable | None = None
    """What the search was based on; None where it wasn't on a table."""
    further: Proposal | None = None
    """The next smaller structure, for when the trained network misses the latency by a little."""
    why: str

    @property
    def structure(self) -> Structure:
        """The one that was chosen."""
        return self.proposal.structure
