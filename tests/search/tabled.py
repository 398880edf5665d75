"""A network with a residual block on a device with a known staircase, whose losses are known as well."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from edgekd.pruning.space import Block, ChannelGroup, Layer, Scores, Space, allowed_widths
from edgekd.values import Candidate, Cost, Interval, Proposal, Structure, VariantLatency
from edgekd.values.plan import TracedNetwork

WIDTHS = {"stem": 32, "a": 64, "r.one": 64, "b": 96}


def layer(name: str, kind: str, inputs: Mapping[str, int] | int, outputs: Mapping[str, int] | int, **more) -> Layer:
    def count(of: Mapping[str, int] | int) -> int:
        return of if isinstance(of, int) else sum(of.values())

    return Layer(
        name=name,
        kind=kind,
        inputs=count(inputs),
        outputs=count(outputs),
        inputs_of={} if isinstance(inputs, int) else inputs,
        outputs_of={} if isinstance(outputs, int) else outputs,
        **more,
    )


def space_of(*, block: int = 8) -> Space:
    """stem, a, a residual block r of two layers, b and a head."""
    own = {root: {root: width} for root, width in WIDTHS.items()}
    return Space(
        channel_block=block,
        groups=tuple(
            ChannelGroup(root=root, width=width, allowed=allowed_widths(width, block=block, parts=1))
            for root, width in WIDTHS.items()
        ),
        layers=(
            layer("stem", "first", 3, own["stem"], positions=256),
            layer("a", "dense", own["stem"], own["a"], positions=64),
            layer("r.one", "dense", own["a"], own["r.one"], positions=64),
            layer("r.two", "dense", own["r.one"], own["a"], positions=64),
            layer("b", "dense", own["a"], own["b"], positions=64),
            layer("head", "linear", own["b"], 10),
        ),
        blocks=(Block(name="r", size=(8, 8), can_go=True),),
    )


def true_ms(space: Space, structure: Structure, unit: int = 16) -> dict[str, float]:
    """Kernels that compute 16 channels at once, by the layer's name."""
    found = {}
    for each in space.layers:
        if any(each.name.startswith(f"{block}.") for block in structure.removed):
            continue
        inputs, outputs = space.widths_of(each, structure.widths)
        blocks = math.ceil(inputs / unit) * math.ceil(outputs / unit)
        found[each.name] = 0.01 + 0.02 * blocks * each.positions / 64
    return found


SCORES = {"stem": 4.0, "a": 3.0, "r.one": 0.2, "b": 1.0}
"""What a channel of each group is worth."""
BLOCK = 3.0


def channel_scores(root: str) -> tuple[float, ...]:
    return (SCORES[root] / 30,) * WIDTHS[root]


def true_loss(structure: Structure) -> float:
    lost = sum(sum(sorted(channel_scores(root))[: WIDTHS[root] - width]) for root, width in structure.widths.items())
    return 0.1 + lost + BLOCK * len(structure.removed)


def strangled(structure: Structure) -> float:
    """Each layer loses by what is left of its inputs times what is left of its outputs: so a narrow group costs far
    more beside other narrow ones.
    """
    share = {root: (structure.widths.get(root, width) / width) for root, width in WIDTHS.items()}
    pairs = [("stem", "a"), ("a", "b")] + ([] if structure.removed else [("a", "r.one")])
    worth = {("stem", "a"): 1.0, ("a", "b"): 0.3, ("a", "r.one"): 0.05}
    return sum(worth[pair] / (share[pair[0]] * share[pair[1]]) ** 2 for pair in pairs) + 0.8 * len(structure.removed)


@dataclass
class TabledBench:
    """Answers as `search.Candidates`; latencies are ratios to the unpruned network's."""

    limit: float = 0.5
    noise: float = 0.0
    names: tuple[str, ...] = ("fp32",)
    integers: tuple[str, ...] = ()
    traced_layers: bool = True
    loss: Callable[[Structure], float | None] = true_loss
    space: Space = field(default_factory=space_of)
    slower: float = 1.0
    """What measured candidates take of what traced networks do."""
    overhead: float = 0.0
    """Milliseconds that tracing adds to each layer."""
    reference_ms: float = 1.0
    clock_us: float = 1.0
    measured: list[Structure] = field(default_factory=list)
    timed: int = 0
    tried: int = 0
    epochs_a_structure: float = 0.01

    def ms(self, structure: Structure) -> float:
        return sum(true_ms(self.space, structure).values())

    def ratio(self, structure: Structure) -> float:
        slower = 1.0 if structure.is_whole else self.slower
        return slower * self.ms(structure) / self.ms(Structure())

    def scores(self) -> Scores:
        return Scores(channels={root: channel_scores(root) for root in WIDTHS})

    def left(self, structure: Structure, what: Collection[str]) -> Mapping[str, float]:
        return dict.fromkeys(what, 1.0)

    def losses(self, structures: Sequence[Structure], *, tried: int = 0, most: int = 0) -> tuple[float | None, ...]:
        self.tried += len(structures)
        return tuple(map(self.loss, structures))

    def traced(self, structures: Sequence[Structure], variant: str) -> tuple[TracedNetwork, ...]:
        drawn = random.Random(0)
        self.timed += len(structures)

        def noisy(ms: float) -> float:
            return ms * (1 + self.noise * drawn.gauss(0, 1))

        def layers(structure: Structure) -> dict[str, float]:
            whole = self.ms(Structure())
            return {name: noisy(ms + self.overhead) / whole for name, ms in true_ms(self.space, structure).items()}

        return tuple(
            TracedNetwork(
                structure=structure,
                variant=variant,
                latency=noisy(self.ms(structure) / self.ms(Structure())),
                layers=layers(structure) if self.traced_layers else {},
                clock_us=self.clock_us,
            )
            for structure in structures
        )

    def measure(self, proposal: Proposal) -> Candidate:
        self.measured.append(proposal.structure)
        value = self.ratio(proposal.structure)
        latencies = tuple(
            VariantLatency(
                variant=name,
                median_ms=value * self.reference_ms,
                ratio=Interval(estimate=value, low=value, high=value),
                fits=value <= self.limit,
                of_limit=value / self.limit,
            )
            for name in self.names
        )
        macs = max(1, round(1e6 * self.ms(proposal.structure)))
        return Candidate(proposal=proposal, cost=Cost(parameters=1, nonzero=1, macs=macs), latencies=latencies)


def all_structures(space: Space) -> Iterator[Structure]:
    """Every structure whose widths are on the staircase."""
    roots = list(WIDTHS)
    for widths in itertools.product(*(range(16, WIDTHS[root] + 1, 16) for root in roots)):
        stated = {root: width for root, width in zip(roots, widths, strict=True) if width < WIDTHS[root]}
        yield Structure(widths=stated)
        without = {root: width for root, width in stated.items() if not root.startswith("r.")}
        yield Structure(widths=without, removed=("r",))


def best_loss(bench: TabledBench, limit: float) -> float:
    """The least loss of all structures whose true latency is within the limit."""
    fitting = (each for each in all_structures(bench.space) if bench.ratio(each) <= limit)
    return min(true_loss(each) for each in fitting)
