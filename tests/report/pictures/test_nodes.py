"""The time of each node, before and after."""

from example_report import AFTER, BEFORE, KEPT, REFERENCE, measured, node

from edgekd.report.blocks import Drawn
from edgekd.report.pictures import nodes
from edgekd.values import Trace


def test_products_stand_side_by_side_whatever_fusion_calls_them():
    pairs = nodes.aligned(BEFORE, AFTER)
    names = [tuple(one.name if one else None for one in pair) for pair in pairs]
    assert (("stem/Conv", "stem/Conv_quant")) in names
    assert ("head/Gemm", "head/Gemm") in names
    assert (None, "quantize") in names
    assert len(pairs) == 4


def test_with_other_numbers_of_products_only_names_count():
    more = Trace(inferences=1, nodes=(node("new/Conv", "Conv", 0.1), *BEFORE.nodes))
    names = [tuple(one.name if one else None for one in pair) for pair in nodes.aligned(BEFORE, more)]
    assert names[0] == (None, "new/Conv")
    assert names[1] == ("stem/Conv", "stem/Conv")


def test_bars_are_to_scale_and_coloured_by_what_computes_where():
    after, before = measured(KEPT, 0.4, AFTER), measured(REFERENCE, 1.0, BEFORE)
    rows = {row[0]: row for row in nodes.table(after, before).rows}
    stem = rows["`stem/Conv_quant`"]
    assert isinstance(stem[1], Drawn)
    assert [cell.words for cell in stem[1:3]] == ["0.3 ms", "0.1 ms"]
    assert 'width="100"' in stem[1].picture
    assert 'width="33.3"' in stem[2].picture
    kinds = [nodes.kind(one, after) for one in AFTER.nodes]
    assert kinds == ["conversion", "int8", "fallback"]
    assert nodes.kind(BEFORE.nodes[0], before) == "fp32"
    half = node("a", "Conv", 1.0).model_copy(update={"precision": "bf16"})
    assert nodes.kind(half, before) == "half"
    assert rows["all nodes"][1:3] == ["0.42 ms", "0.17 ms"]
    assert nodes.table(measured(KEPT, 0.4)) is None
