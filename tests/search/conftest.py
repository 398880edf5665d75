"""A bench without a network: what a search finds out is a function of the widths, so that it takes milliseconds."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest

from edgekd.pruning.space import Block, ChannelGroup, Granularity, Scores, Space, allowed_widths
from edgekd.search._base import Question
from edgekd.search._levels import Options
from edgekd.values import Candidate, Cost, Interval, Proposal, SearchSettings, Structure, VariantLatency

WIDTHS = {"stem": 80, "first": 160, "second": 320}


def space_of(widths: Mapping[str, int], *, block: int = 8) -> Space:
    groups = tuple(
        ChannelGroup(root=root, width=width, allowed=allowed_widths(width, block=block, parts=1))
        for root, width in widths.items()
    )
    return Space(channel_block=block, groups=groups)


def candidate_of(proposal: Proposal, *, limit: float = 0.5, **latencies: float) -> Candidate:
    """A candidate of these latencies, as ratios to the reference's, in each variant."""
    cost = Cost(parameters=1000, nonzero=1000, macs=1000)
    found = tuple(
        VariantLatency(
            variant=variant,
            median_ms=value,
            ratio=Interval(estimate=value, low=value, high=value),
            fits=value <= limit,
        )
        for variant, value in latencies.items()
    )
    return Candidate(proposal=proposal, cost=cost, latencies=found)


@dataclass
class SimulatedBench:
    """A network whose latency, and what is left of it, are functions of the share of channels that stay."""

    latency: Callable[[float], dict[str, float]] = lambda left: {"fp32": left}
    limit: float = 0.5
    widths: Mapping[str, int] = field(default_factory=lambda: WIDTHS)
    scored: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()
    block_scores: Mapping[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def space(self) -> Space:
        return space_of(self.widths).model_copy(update={"blocks": self.blocks, "weights": 1000})

    def share(self, structure: Structure) -> float:
        """Of the channels and weights, how much stays."""
        left = sum(structure.widths.get(root, width) for root, width in self.widths.items())
        return left / sum(self.widths.values()) * (1 - structure.zeros)

    def scores(self) -> Scores:
        return Scores(channels=dict(self.scored), blocks=dict(self.block_scores))

    def left(self, structure: Structure, what: Collection[str]) -> Mapping[str, float]:
        self.asked.append(structure.model_dump_json())
        return dict.fromkeys(what, self.share(structure))

    def measure(self, proposal: Proposal) -> Candidate:
        self.asked.append(proposal.structure.model_dump_json())
        return candidate_of(proposal, limit=self.limit, **self.latency(self.share(proposal.structure)))


@pytest.fixture
def bench() -> type[SimulatedBench]:
    return SimulatedBench


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    return candidate_of


@pytest.fixture
def space() -> Callable[..., Space]:
    return space_of


@pytest.fixture
def question() -> Callable[..., Question]:
    """What is asked, with the settings of a recipe's [search]."""

    def ask(
        granularity: Granularity = "channels",
        *,
        scope: str = "layer",
        variants: Collection[str] = ("fp32",),
        fractions: tuple[float, ...] = (),
        has_device: bool = True,
        seen: tuple[Candidate, ...] = (),
        **settings: object,
    ) -> Question:
        return Question(
            granularity=granularity,
            settings=SearchSettings.model_validate(settings),
            options=Options.model_validate({"scope": scope}),
            fractions=fractions,
            has_device=has_device,
            variants=frozenset(variants),
            seen=seen,
        )

    return ask
