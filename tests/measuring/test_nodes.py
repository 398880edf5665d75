from edgekd.measuring import nodes
from edgekd.values import Node, Trace


def node(op, ms=1.0, provider="CPUExecutionProvider", name=""):
    return Node(name=name or op.lower(), op=op, provider=provider, ms=ms)


TRACE = Trace(
    inferences=10,
    nodes=(
        node("QLinearConv", 3),
        node("FusedConv", 2),
        node("QLinearConv", 1),
        node("Add", 9),
        node("MatMul", 1, "X"),
    ),
)


def test_the_most_expensive_operator_comes_first():
    assert nodes.by_operator(TRACE) == [("Add", 1, 9), ("QLinearConv", 2, 4), ("FusedConv", 1, 2), ("MatMul", 1, 1)]
    assert nodes.total_ms(TRACE.nodes) == 16


def test_coverage_counts_convolutions_and_matrix_products():
    assert nodes.integer_coverage(TRACE) == (2, 4)


def test_nodes_are_reported_by_where_they_ran():
    assert nodes.by_provider(TRACE) == {"CPUExecutionProvider": 4, "X": 1}
    assert [n.op for n in nodes.fallen_back(TRACE, "CPUExecutionProvider")] == ["MatMul"]


def test_a_runtime_with_names_of_its_own_says_what_its_nodes_are():
    def own(kind, precision):
        return Node(name="n", op="Convolution", provider="CPU", ms=1, kind=kind, precision=precision)

    trace = Trace(inferences=1, nodes=(own("product", "int8"), own("product", "bf16"), own("layout", "fp32")))
    assert nodes.integer_coverage(trace) == (1, 2)
    assert [node.precision for node in nodes.of_kind(trace, "layout")] == ["fp32"]
