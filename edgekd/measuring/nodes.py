"""What a trace says about a graph: which operators cost most, what ran where, how much of it in integers."""

from collections.abc import Iterable

from edgekd.values import Node, Trace

INTEGER_PRODUCTS = frozenset(
    {
        "QLinearConv",
        "QLinearConvTranspose",
        "QLinearMatMul",
        "QGemm",
        "ConvInteger",
        "MatMulInteger",
        "MatMulIntegerToFloat",
        "DynamicQuantizeMatMul",
        "QAttention",
    }
)
FLOAT_PRODUCTS = frozenset(
    {
        "Conv",
        "FusedConv",
        "NhwcFusedConv",
        "ConvTranspose",
        "Gemm",
        "FusedGemm",
        "MatMul",
        "FusedMatMul",
        "FusedMatMulActivation",
        "Attention",
    }
)
"""Convolutions and matrix products, nearly all arithmetic of a CNN, as ONNX and ONNX Runtime's own domain call them."""

DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "ConvInteger", "MatMulInteger"})

_KINDS = {
    **dict.fromkeys(INTEGER_PRODUCTS | FLOAT_PRODUCTS, "product"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "Cast"), "conversion"),
    **dict.fromkeys(("ReorderInput", "ReorderOutput", "Transpose"), "layout"),
}
"""Of nodes whose runtime doesn't report it, as those of ONNX Runtime."""


def total_ms(nodes: Iterable[Node]) -> float:
    """What the nodes take together in one inference."""
    return sum(node.ms for node in nodes)


def of_kind(trace: Trace, kind: str) -> list[Node]:
    """The nodes of a kind (see `values.Node`), in the order in which they run."""
    return [node for node in trace.nodes if (node.kind or _KINDS.get(node.op)) == kind]


def products(trace: Trace) -> list[Node]:
    """The convolutions and matrix products, in the order in which they run."""
    return of_kind(trace, "product")


def in_integers(node: Node) -> bool:
    """Whether a convolution or matrix product runs in integers."""
    return node.precision == "int8" or node.op in INTEGER_PRODUCTS


def integer_coverage(trace: Trace) -> tuple[int, int]:
    """How many of the convolutions and matrix products run in integers, and how many there are."""
    found = products(trace)
    return sum(map(in_integers, found)), len(found)


def by_operator(trace: Trace) -> list[tuple[str, int, float]]:
    """Each operator with its count and milliseconds, the most expensive first."""
    groups: dict[str, list[Node]] = {}
    for node in trace.nodes:
        groups.setdefault(node.op, []).append(node)
    return sorted(((op, len(found), total_ms(found)) for op, found in groups.items()), key=lambda row: -row[2])


def by_provider(trace: Trace) -> dict[str, int]:
    """How many nodes each provider runs."""
    counts: dict[str, int] = {}
    for node in trace.nodes:
        counts[node.provider] = counts.get(node.provider, 0) + 1
    return counts


def fallen_back(trace: Trace, provider: str) -> list[Node]:
    """The nodes that another provider than the one asked for runs."""
    return [node for node in trace.nodes if node.provider != provider]
