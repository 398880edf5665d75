"""The time that each node takes, before and after, coloured by what it computes in."""

from collections.abc import Sequence
from difflib import SequenceMatcher

from edgekd.measuring.nodes import fallen_back, in_integers, of_kind, products, total_ms
from edgekd.report import svg
from edgekd.report.blocks import Cell, Drawn, Table
from edgekd.values import Measurement, Node, Trace

Pair = tuple[Node | None, Node | None]

KEY = {
    "fp32": "computes in fp32",
    "half": "computes in fp16 or bf16",
    "int8": "computes in integers",
    "conversion": "converts types or layouts",
    "fallback": "fell back to another provider",
}
"""What the colours of bars mean, by their kind."""


def table(after: Measurement, before: Measurement | None = None) -> Table | None:
    """A row for each node, in execution order; None without a trace, or where that has none."""
    if after.trace is None or not after.trace.nodes:
        return None
    first = before.trace if before and before.trace else None
    pairs = aligned(first, after.trace) if first else [(None, node) for node in after.trace.nodes]
    longest = max([node.ms for pair in pairs for node in pair if node] or [0.0]) or 1.0
    columns = [*([(before, 0)] if before and first else []), (after, 1)]
    rows: list[list[Cell]] = [_row(pair, columns, longest) for pair in pairs]
    totals = [f"{total_ms(m.trace.nodes):.4g} ms" for m, _ in columns if m.trace]
    names = [m.artifact.name for m, _ in columns]
    return Table(["node", *names, "operator", "provider"], [*rows, ["all nodes", *totals, "", ""]])


def aligned(first: Trace, second: Trace) -> list[Pair]:
    """The nodes of both in execution order, the same ones side by side.

    Nodes are the same by their names; convolutions and matrix products, whose names depend on what was fused, also by
    their number where both have as many.
    """
    ours, theirs = first.nodes, second.nodes
    our_keys, their_keys = _keys(first, second)
    pairs: list[Pair] = []
    for what, start, end, other, last in SequenceMatcher(None, our_keys, their_keys, autojunk=False).get_opcodes():
        if what == "equal":
            pairs += zip(ours[start:end], theirs[other:last], strict=True)
        else:
            pairs += [(node, None) for node in ours[start:end]]
            pairs += [(None, node) for node in theirs[other:last]]
    return pairs


def _keys(*traces: Trace) -> list[list[str]]:
    found = [products(trace) for trace in traces]
    alike = len({len(each) for each in found}) == 1
    numbers = [{id(node): f"product {n}" for n, node in enumerate(each)} if alike else {} for each in found]
    return [
        [number.get(id(node), node.name) for node in trace.nodes] for number, trace in zip(numbers, traces, strict=True)
    ]


def _row(pair: Pair, columns: Sequence[tuple[Measurement, int]], longest: float) -> list[Cell]:
    node = pair[1] or pair[0]
    assert node is not None
    operators, providers = (
        " → ".join(dict.fromkeys(getattr(pair[side], what) for _, side in columns if pair[side]))
        for what in ("op", "provider")
    )
    return [f"`{node.name}`", *(_time(pair[side], m, longest) for m, side in columns), operators, providers]


def _time(node: Node | None, m: Measurement, longest: float) -> Cell:
    if node is None:
        return "–"
    return Drawn(f"{node.ms:.4g} ms", svg.bar([(0.0, node.ms / longest, kind(node, m))]))


def kind(node: Node, m: Measurement) -> str:
    """What a node's bar is coloured by: one of `KEY`."""
    assert m.trace is not None
    if node in fallen_back(m.trace, m.runtime.provider):
        return "fallback"
    if node in of_kind(m.trace, "conversion") or node in of_kind(m.trace, "layout"):
        return "conversion"
    if in_integers(node):
        return "int8"
    stated = node.precision or (m.artifact.precision if not m.artifact.variant.quantised else "fp32")
    return "half" if stated.startswith(("fp16", "bf16")) else "fp32"


def key(*found: Measurement) -> Table:
    """What the colours mean that occur: a column each."""
    seen = {kind(node, m) for m in found if m.trace for node in m.trace.nodes}
    names = [name for name in KEY if name in seen]
    return Table([KEY[name] for name in names], [[Drawn("", svg.bar([(0.0, 1.0, name)])) for name in names]])
