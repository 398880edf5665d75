"""Evaluates a trace: the most expensive operators, the providers of nodes, and integer coverage."""

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
"""Convolutions and matrix products (nearly all arithmetic of a CNN) in the ONNX and ONNX Runtime domains."""

DYNAMIC = frozenset({"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "ConvInteger", "MatMulInteger"})

_KINDS = {
    **dict.fromkeys(INTEGER_PRODUCTS | FLOAT_PRODUCTS, "product"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "Cast"), "conversion"),
    **dict.fromkeys(("ReorderInput", "ReorderOutput", "Transpose"), "layout"),
}
"""Kinds of nodes whose runtime doesn't report them, such as ONNX Runtime's."""


def total_ms(nodes: Iterable[Node]) -> float:
    """The total time of the nodes per inference."""
    return sum(node.ms for node in nodes)


def of_kind(trace: Trace, kind: str) -> list[Node]:
    """The nodes of a kind (see `values.Node`), in execution order."""
    return [node for node in trace.nodes if (node.kind or _KINDS.get(node.op)) == kind]


def products(trace: Trace) -> list[Node]:
    """The convolutions and matrix products, in execution order."""
    return of_kind(trace, "product")


def in_integers(node: Node) -> bool:
    """Whether a convolution or matrix product runs in integers."""
    return node.precision == "int8" or node.op in INTEGER_PRODUCTS


def integer_coverage(trace: Trace) -> tuple[int, int]:
    """The number of convolutions and matrix products that run in integers, and their total number."""
    found = products(trace)
    return sum(map(in_integers, found)), len(found)


def by_operator(trace: Trace) -> list[tuple[str, int, float]]:
    """Each operator with its count and milliseconds, the most expensive first."""
    groups: dict[str, list[Node]] = {}
    for node in trace.nodes:
        groups.setdefault(node.op, []).append(node)
    return sorted(((op, len(found), total_ms(found)) for op, found in groups.items()), key=lambda row: -row[2])


def by_provider(trace: Trace) -> dict[str, int]:
    """The number of nodes per provider."""
    counts: dict[str, int] = {}
    for node in trace.nodes:
        counts[node.provider] = counts.get(node.provider, 0) + 1
    return counts


def fallen_back(trace: Trace, provider: str) -> list[Node]:
    """The nodes that run on another provider than the requested one."""
    return [node for node in trace.nodes if node.provider != provider]
