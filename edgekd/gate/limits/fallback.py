"""Nodes of the optimised graph that another provider ran than the first, such as the CPU instead of an accelerator."""

from collections import Counter
from collections.abc import Iterator

from edgekd.gate.evidence import Threshold, counted, elsewhere_than, unmeasured
from edgekd.gate.headroom import toml_string
from edgekd.gate.limits._base import Given, Needs
from edgekd.measuring.nodes import fallen_back
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import NonNegativeInt

_OPERATORS_NAMED = 3


class Settings(Value):
    """Nodes that another provider than the first ran."""

    max_nodes: NonNegativeInt
    """Of the optimised graph, that another provider than the first ran."""


def needs(_: Settings) -> Needs:
    """A trace of the nodes."""
    return Needs(traced=True)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """By counting."""
    threshold, measurement = Threshold("fallback.max_nodes", "fallback", settings.max_nodes, "nodes"), given.measurement
    if elsewhere := elsewhere_than(threshold, measurement):
        yield elsewhere
        return
    if measurement.trace is None:
        yield unmeasured(threshold, "the nodes weren't traced")
        return
    first, nodes = measurement.runtime.provider, measurement.trace.nodes
    fallen = Counter(node.op for node in fallen_back(measurement.trace, first))
    evidence = f"{fallen.total():,} of {len(nodes):,} nodes not on {first}{_operators(fallen)}"
    yield counted(threshold, fallen.total(), evidence)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """As many as fell back."""
    if measurement.trace:
        first = measurement.runtime.provider
        fallen = len(fallen_back(measurement.trace, first))
        yield f"\n[fallback] # nodes that another provider than {toml_string(first)} runs"
        yield f"max_nodes = {fallen} # as measured, without headroom"


def _operators(fallen: Counter[str]) -> str:
    """The operators that fell back most often."""
    if not fallen:
        return ""
    most = ", ".join(f"{op} × {count}" for op, count in fallen.most_common(_OPERATORS_NAMED))
    return f" ({most}{', …' if len(fallen) > _OPERATORS_NAMED else ''})"
