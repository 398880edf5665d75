"""Explains why one artifact isn't faster than another: their ratio, and measured causes, the most expensive first.

The usual question is why INT8 isn't faster than fp32. Causes are derived from the traces, the host and the runtime,
not from the files.
"""

from collections.abc import Iterator
from typing import Literal

from edgekd.errors import MeasurementError
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.nodes import DYNAMIC, fallen_back, in_integers, integer_coverage, of_kind, products, total_ms
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.values import Interval, Measurement, Node, Trace, Value

_DOT_PRODUCTS = {"x86_64": ("avx512_vnni", "avx_vnni", "amx_int8"), "aarch64": ("asimddp", "i8mm")}
"""By architecture, the instruction sets that make 8-bit integer products faster than floating-point ones."""

_NEGLIGIBLE = 0.02  # fraction of the time of all nodes
_EXAMPLES = 3
_DYNAMICALLY = ": ranges are computed in every inference; use static quantisation instead"


class Pair(Value):
    """A convolution or matrix product in both artifacts."""

    name: str
    op: str
    ms: float
    other_op: str
    other_ms: float


class Explanation(Value):
    """A node-by-node comparison of two artifacts, and what costs time in the second."""

    schema_version: Literal["edgekd.explanation/1"] = "edgekd.explanation/1"
    artifact: str
    other: str
    p50_ms: float
    other_p50_ms: float
    ratio: Interval | None
    """Latency of the second, divided by that of the first; None if it is invalid or too little was measured."""
    nodes_ms: float
    other_nodes_ms: float
    pairs: tuple[Pair, ...]
    """Empty if the two have different numbers of convolutions and matrix products."""
    causes: tuple[str, ...]
    invalid: tuple[str, ...] = ()
    """Why the latencies say nothing."""


def explain(reference: Measurement, other: Measurement) -> Explanation:
    """Compare how `other` and `reference` spend their time.

    Raises:
        MeasurementError: one of them was measured without a trace.
    """
    first, second = _trace(reference), _trace(other)
    causes = sorted(_causes(other, second, _pairs(first, second)), key=lambda cause: -cause[0])
    return Explanation(
        artifact=reference.artifact.name,
        other=other.artifact.name,
        p50_ms=median_ms(reference),
        other_p50_ms=median_ms(other),
        ratio=_ratio(other, reference),
        nodes_ms=total_ms(first.nodes),
        other_nodes_ms=total_ms(second.nodes),
        pairs=tuple(_pairs(first, second)),
        causes=tuple(text for _, text in causes),
        invalid=tuple(f"{one.artifact.name}: {reason}" for one in (reference, other) for reason in spoiled(one)),
    )


def summary(found: Explanation) -> str:
    """Both latencies, whether the second one is slower, and what the causes that follow say."""
    p50s = f"p50: {found.artifact} {found.p50_ms:.4g} ms, {found.other} {found.other_p50_ms:.4g} ms"
    return f"{p50s}; {_compared(found)}\n{_heading(found)}"


def _ratio(other: Measurement, reference: Measurement) -> Interval | None:
    if other.invalid or reference.invalid:
        return None
    try:
        return ratio(other, reference)
    except MeasurementError:
        return None


def _compared(found: Explanation) -> str:
    if (r := found.ratio) is None and found.invalid:
        return "no ratio, since the measurements are invalid"
    if r is None:
        return "too little was measured for a ratio: raise --seconds or --launches"
    shown = f"latency ratio {r.estimate:.3f} ({r.low:.3f} to {r.high:.3f} at 95 %)"
    than = "slower" if r.low > 1 else "faster" if r.high < 1 else "neither slower nor faster"
    return f"{found.other} is {than}: {shown}"


def _heading(found: Explanation) -> str:
    if not found.causes:
        return f"Nothing found that slows {found.other} down."
    slower = found.ratio is not None and found.ratio.low > 1
    return f"Why {found.other} is slower:" if slower else f"What costs time in {found.other}:"


def _trace(measurement: Measurement) -> Trace:
    if measurement.trace is None:
        name = measurement.artifact.name
        raise MeasurementError(f"the measurement of {name} has no trace", "Measure again with `edgekd profile`.")
    return measurement.trace


def _pairs(first: Trace, second: Trace) -> list[Pair]:
    """Pairs the k-th products of both: names differ after each runtime's optimisations, but a quantised network has the
    same products in the same order.
    """
    ours, theirs = products(first), products(second)
    if len(ours) != len(theirs):
        return []
    return [
        Pair(name=a.name, op=a.op, ms=a.ms, other_op=b.op, other_ms=b.ms) for a, b in zip(ours, theirs, strict=True)
    ]


def _causes(measurement: Measurement, trace: Trace, pairs: list[Pair]) -> Iterator[tuple[float, str]]:
    """Each cause with its cost in milliseconds."""
    whole = total_ms(trace.nodes)
    yield from _missing_instructions(measurement, trace)
    yield from _share(
        of_kind(trace, "conversion"),
        whole,
        "conversion between types (Q/DQ, Cast) remains in the graph as a separate node",
        "conversions between types (Q/DQ, Cast) remain in the graph as separate nodes",
    )
    integers, all_products = integer_coverage(trace)
    floats = [node for node in products(trace) if not in_integers(node)]
    if integers:
        of_all = f"of {all_products} convolutions and matrix products"
        yield from _share(floats, whole, f"{of_all} runs in floating point", f"{of_all} run in floating point")
    elif measurement.artifact.variant.quantised:
        yield total_ms(floats), f"none of its {all_products} convolutions and matrix products runs in integers"
    yield from _share(
        [node for node in trace.nodes if node.op in DYNAMIC],
        whole,
        f"node quantises dynamically{_DYNAMICALLY}",
        f"nodes quantise dynamically{_DYNAMICALLY}",
    )
    layouts = of_kind(trace, "layout")
    yield from _share(
        layouts, whole, "node only changes the layout of a tensor", "nodes only change the layout of a tensor"
    )
    provider = measurement.runtime.provider
    back = f"fell back from {provider} to another provider"
    yield from _share(fallen_back(trace, provider), whole, f"node {back}", f"nodes {back}")
    yield from _slower(pairs)


def _missing_instructions(measurement: Measurement, trace: Trace) -> Iterator[tuple[float, str]]:
    host = measurement.host
    wanted = _DOT_PRODUCTS.get(host.arch, ())
    integers = [node for node in products(trace) if in_integers(node)]
    on_cpu = measurement.runtime.provider.startswith("CPU")
    known = set(host.cpu_features)  # empty where the system doesn't report them
    if integers and on_cpu and wanted and known and not set(wanted) & known:
        lacks = f"{host.cpu} has none of {', '.join(wanted)}"
        yield total_ms(trace.nodes), f"{lacks}: without them INT8 products are no faster than floating-point ones"


def _share(nodes: list[Node], whole: float, one: str, several: str) -> Iterator[tuple[float, str]]:
    ms = total_ms(nodes)
    if nodes and ms > _NEGLIGIBLE * whole:
        examples = ", ".join(node.name for node in sorted(nodes, key=lambda n: -n.ms)[:_EXAMPLES])
        what = one if len(nodes) == 1 else several
        yield ms, f"{len(nodes)} {what}: {ms:.3g} ms, {ms / whole:.0%} of all nodes (such as {examples})"


def _slower(pairs: list[Pair]) -> Iterator[tuple[float, str]]:
    slower = sorted((p for p in pairs if p.other_ms > p.ms), key=lambda p: p.ms - p.other_ms)
    lost = sum(p.other_ms - p.ms for p in slower)
    if lost > _NEGLIGIBLE * sum(p.other_ms for p in pairs):
        worst = ", ".join(f"{p.name} {p.ms:.3g} → {p.other_ms:.3g} ms" for p in slower[:_EXAMPLES])
        are = f"of {len(pairs)} convolutions and matrix products {'is' if len(slower) == 1 else 'are'} slower"
        yield lost, f"{len(slower)} {are}: {lost:.3g} ms ({worst})"
