import numpy as np
import onnx
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from edgekd import catalog
from edgekd.errors import MeasurementError
from edgekd.measuring.explain import explain, summary
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol, Node, Trace, Variant

QUICK = MeasuringProtocol(launches=1, seconds=0.03, block_seconds=0.01, warmup_seconds=0.02)
VNNI = ("avx2", "avx512_vnni")


@pytest.fixture
def traced(measurement):
    """A measurement with the given nodes: op, milliseconds and, if it isn't the CPU, provider."""

    def make(*found, features=VNNI, precision="int8", name="net"):
        cpu = "CPUExecutionProvider"
        nodes = [
            Node(name=f"{op}{i}", op=op, ms=ms, provider=more[0] if more else cpu)
            for i, (op, ms, *more) in enumerate(found)
        ]
        plain = measurement()
        return plain.model_copy(
            update={
                "artifact": plain.artifact.model_copy(
                    update={"variant": Variant(runtime="onnxruntime", precision=precision), "name": name}
                ),
                "host": plain.host.model_copy(update={"cpu_features": features}),
                "runtime": plain.runtime.model_copy(update={"provider": cpu}),
                "trace": Trace(inferences=9, nodes=tuple(nodes)),
            }
        )

    return make


FLOAT = (("FusedConv", 1.0), ("FusedConv", 2.0))


@pytest.mark.parametrize(
    ("nodes", "features", "says"),
    [
        ([("QLinearConv", 0.3), ("QLinearConv", 0.5)], VNNI, None),
        ([("QLinearConv", 0.3), ("QLinearConv", 0.5)], ("avx2",), "has none of avx512_vnni, avx_vnni, amx_int8"),
        (
            [("QuantizeLinear", 1.0), ("QLinearConv", 0.3), ("QLinearConv", 0.5)],
            VNNI,
            "1 conversion between types (Q/DQ, Cast) remains in the graph as a separate node",
        ),
        ([("QLinearConv", 0.3), ("QLinearConv", 0.5)], (), None),  # the system doesn't report them
        (
            [("QLinearConv", 0.3), ("FusedConv", 2.0)],
            VNNI,
            "1 of 2 convolutions and matrix products runs in floating point: 2 ms",
        ),
        ([("FusedConv", 0.9), ("FusedConv", 2.0)], VNNI, "none of its 2 convolutions"),
        (
            [("DynamicQuantizeLinear", 0.5), ("ConvInteger", 0.5), ("ConvInteger", 0.5)],
            VNNI,
            "3 nodes quantise dynamically",
        ),
        ([("QLinearConv", 0.3), ("QLinearConv", 0.5, "Other")], VNNI, "1 node fell back from CPUExecutionProvider"),
        ([("ReorderInput", 0.4), ("QLinearConv", 0.3), ("QLinearConv", 0.5)], VNNI, "1 node only changes the layout"),
        (
            [("QLinearConv", 3.5), ("QLinearConv", 0.5)],
            VNNI,
            "1 of 2 convolutions and matrix products is slower",
        ),
    ],
)
def test_each_cause_is_named_from_what_was_measured(traced, nodes, features, says):
    found = explain(traced(*FLOAT, precision="fp32"), traced(*nodes, features=features))
    if says is None:
        assert found.causes == ()
    else:
        assert says in found.causes[0]


def test_the_most_expensive_cause_comes_first(traced):
    other = traced(("QuantizeLinear", 0.2), ("QLinearConv", 0.3), ("FusedConv", 1.5))
    causes = explain(traced(*FLOAT), other).causes
    assert ["runs in floating point" in causes[0], "conversion" in causes[1]] == [True, True]


def test_products_are_paired_in_their_order_if_there_are_as_many(traced):
    found = explain(traced(*FLOAT), traced(("QuantizeLinear", 0.2), ("QLinearConv", 0.3), ("QLinearConv", 0.4)))
    assert [(p.op, p.ms, p.other_op, p.other_ms) for p in found.pairs] == [
        ("FusedConv", 1.0, "QLinearConv", 0.3),
        ("FusedConv", 2.0, "QLinearConv", 0.4),
    ]
    assert explain(traced(*FLOAT), traced(("QLinearConv", 0.3))).pairs == ()


@pytest.mark.parametrize(
    ("ms", "compared", "heading"),
    [
        (2.0, "net is slower: latency ratio 2.000 (2.000 to 2.000 at 95 %)", "Why net is slower:"),
        (0.5, "net is faster: latency ratio 0.500 (0.500 to 0.500 at 95 %)", "What costs time in net:"),
        (1.0, "net is neither slower nor faster: latency ratio 1.000", "What costs time in net:"),
    ],
)
def test_a_model_is_called_slow_only_if_it_is_slower(measurement, traced, ms, compared, heading):
    launches = measurement([[[ms] * 20] * 4] * 5).launches
    other = traced(("QuantizeLinear", 1.0), ("QLinearConv", 0.3)).model_copy(update={"launches": launches})
    said = summary(explain(traced(*FLOAT, precision="fp32", name="base"), other))
    assert f"p50: base 1 ms, net {ms:g} ms; {compared}" in said
    assert said.endswith(heading)


def test_too_few_blocks_for_a_ratio_are_named(measurement, traced):
    launches = measurement([[[2.0] * 20]]).launches
    short = [traced(*FLOAT).model_copy(update={"launches": launches}) for _ in range(2)]
    assert "too little was measured for a ratio" in summary(explain(*short))


def test_what_was_disturbed_is_said_and_has_no_ratio(traced):
    throttled = traced(*FLOAT, name="net").model_copy(update={"invalid": ("it throttled",)})
    found = explain(traced(*FLOAT, name="base"), throttled)
    assert (found.invalid, found.ratio) == (("net: it throttled",), None)
    assert "no ratio, since the measurements are invalid" in summary(found)


def test_a_measurement_without_nodes_is_refused(measurement, traced):
    with pytest.raises(MeasurementError, match="has no trace"):
        explain(measurement(), traced(*FLOAT))


class Noise(CalibrationDataReader):
    def __init__(self):
        self.left = 4

    def get_next(self):
        self.left -= 1
        return (
            {"image": np.random.default_rng(self.left).standard_normal((1, 3, 16, 16), np.float32)}
            if self.left
            else None
        )


def profiled(*files):
    return profile(files, target=catalog.target("x86-cpu"), protocol=QUICK, progress=Silent())


def test_a_really_quantised_model_is_read_right(model, tmp_path):
    """Real files, quantised by ONNX Runtime's own quantizer, statically, dynamically and only in part."""
    fp32 = model(layers=4, channels=16, size=16, batch=1)
    static, partly, dynamic = (tmp_path / f"{name}.onnx" for name in ("static", "partly", "dynamic"))
    u8s8 = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    quantize_static(fp32, static, Noise(), **u8s8)
    first = onnx.load(fp32).graph.node[0]
    first.name = "first"
    named = onnx.load(fp32)
    for i, n in enumerate(named.graph.node):
        n.name = f"node{i}"
    onnx.save(named, fp32)
    quantize_static(fp32, partly, Noise(), nodes_to_exclude=["node2", "node4"], **u8s8)
    quantize_dynamic(fp32, dynamic, weight_type=QuantType.QUInt8)
    base, all_static, in_part, all_dynamic = profiled(fp32, static, partly, dynamic)
    assert len(explain(base, all_static).pairs) == 4
    assert {pair.other_op for pair in explain(base, all_static).pairs} == {"QLinearConv"}
    assert any(
        "2 of 4 convolutions and matrix products run in floating point" in c for c in explain(base, in_part).causes
    )
    assert any("quantise dynamically" in cause for cause in explain(base, all_dynamic).causes)
