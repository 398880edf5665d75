"""Each rule has a file that breaks it and no other; edgekd's own files break none."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from edgekd.deploy.export import export_onnx
from edgekd.deploy.preflight.lint import RULES, lint
from edgekd.deploy.preflight.rule import Destination
from edgekd.deploy.writers.tensorrt import precisions, write
from edgekd.zoo import networks

ZERO = np.int8(0)
ORIN = Destination(max_opset=20, compute_capability="8.7", version="10.7.0")


def node(op, inputs, output, **attributes):
    return helper.make_node(op, inputs, [output], output, **attributes)


def pair(value, constants, **attributes):
    """A value's Q/DQ pair; the last output is `<value>_dq`."""
    return [
        node("QuantizeLinear", [value, *constants], f"{value}_q", **attributes),
        node("DequantizeLinear", [f"{value}_q", *constants], f"{value}_dq", **attributes),
    ]


def network(path, *, zero=ZERO, scales=(), weight_scales=8, axis=0, op="Conv", bias=None, between=False,
            opset=17, ir=8, nodes=(), named=True):  # fmt: skip
    """One quantised convolution as TensorRT wants it, but for what is given."""
    shape = {"Conv": [8, 4, 3, 3], "ConvTranspose": [4, 8, 3, 3], "Gemm": [8, 8]}[op]
    constants = {
        "scale": np.full(scales, 0.1, np.float32),
        "zero": np.full(scales, zero),
        "weight": np.ones(shape, np.int8),
        "weight_scale": np.full([weight_scales] if weight_scales else [], 0.1, np.float32),
        "bias": np.zeros(8, np.float32) if bias is None else bias,
        "bias_scale": np.float32(0.1),
    }
    layer = ["x_dq", "weight_dq", "bias"]
    middle = []
    if bias is not None:
        middle.append(node("DequantizeLinear", ["bias", "bias_scale"], "bias_dq"))
        layer[2] = "bias_dq"
    quantised = ["scale", "zero"] if named else ["scale"]
    attributes = {"transB": 1} if op == "Gemm" else {}
    middle += [
        *pair("x", quantised, axis=1),
        node("DequantizeLinear", ["weight", "weight_scale"], "weight_dq", axis=axis),
        node(op, layer, "conv", **attributes),
        *(pair("conv", ["scale", "zero"]) if between else ()),
        node("Relu", ["conv_dq" if between else "conv"], "relu"),
        *nodes,
    ]
    taken = [1, 8] if op == "Gemm" else [1, 4, 8, 8]
    graph = helper.make_graph(
        middle,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, taken)],
        [helper.make_tensor_value_info("relu", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir), path)
    return path


def rules(path, to=ORIN):
    return [finding.rule for finding in lint(path, to)]


BREAK = {
    "zero-point": {"zero": np.int8(3)},
    "uint8": {"zero": np.uint8(0)},
    "int16": {"zero": np.int16(0)},
    "int32-bias": {"bias": np.zeros(8, np.int32)},
    "weight-axis": {"axis": 1, "weight_scales": 4},
    "activation-channels": {"scales": (4,)},
    "between-conv-and-relu": {"between": True},
    "integer-operators": {"nodes": [helper.make_node("DynamicQuantizeLinear", ["relu"], ["a", "b", "c"], "dynamic")]},
    "opset": {"opset": 21},
    "ir-version": {"ir": 10},
}


@pytest.mark.parametrize("rule", BREAK)
def test_a_file_that_breaks_one_rule(tmp_path, rule):
    path = network(tmp_path / "m.onnx", **BREAK[rule])
    (found,) = lint(path, ORIN)
    assert found.rule == rule
    assert found.severity == ("warning" if rule in ("between-conv-and-relu", "ir-version") else "error")
    assert found.remedy.endswith((".", ")."))
    assert not found.message.endswith(": ")


def test_every_rule_is_broken_here():
    assert [*BREAK, "fp8", "int8-on-10.3", "fp32-kept"] == [rule.id for rule in RULES]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"weight_scales": 0, "axis": 1},
        {"op": "ConvTranspose", "axis": 1},
        {"op": "ConvTranspose", "axis": -3},
        {"op": "Gemm"},
    ],
)
def test_a_file_as_tensorrt_wants_it_breaks_none(tmp_path, change):
    assert rules(network(tmp_path / "m.onnx", **change)) == []


def test_a_zero_point_that_is_left_out_is_unsigned(tmp_path):
    assert rules(network(tmp_path / "m.onnx", named=False)) == ["uint8"]


def test_unsigned_with_an_offset_is_refused_and_so_not_misread(tmp_path):
    assert rules(network(tmp_path / "m.onnx", zero=np.uint8(128))) == ["zero-point"]


def test_a_zero_point_may_be_a_node_but_not_computed(tmp_path):
    path = network(tmp_path / "m.onnx")
    for values, expected in (([0], []), ([3], ["zero-point"]), (None, ["zero-point"])):
        model = onnx.load(path)
        kept = [tensor for tensor in model.graph.initializer if tensor.name != "zero"]
        del model.graph.initializer[:]
        model.graph.initializer.extend(kept)
        if values:
            value = numpy_helper.from_array(np.array(values[0], np.int8))
            made = helper.make_node("Constant", [], ["zero"], value=value)
        else:
            made = helper.make_node("Cast", ["scale"], ["zero"], to=TensorProto.INT8)
        model.graph.node.insert(0, made)
        onnx.save(model, tmp_path / "c.onnx")
        found = rules(tmp_path / "c.onnx")
        assert found == expected


def test_places_are_named_and_counted(tmp_path):
    path = network(tmp_path / "m.onnx", zero=np.int8(3), between=True)
    found = lint(path, ORIN)[0]
    assert found.message.endswith(": x_q, x_dq, conv_q and 1 more")


def test_branches_are_looked_into(tmp_path):
    path = network(tmp_path / "m.onnx")
    model = onnx.load(path)
    values = [helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)]
    zero = numpy_helper.from_array(np.int8(5), "inner_zero")
    branch = helper.make_graph(
        [node("QuantizeLinear", ["relu", "scale", "inner_zero"], "inner")], "b", [], values, [zero]
    )
    model.graph.node.append(node("If", ["condition"], "out", then_branch=branch, else_branch=branch))
    onnx.save(model, path)
    assert [finding.message.rpartition(": ")[2] for finding in lint(path, ORIN)] == ["inner"]


def test_what_is_no_valid_graph_is_looked_at_as_far_as_it_goes(tmp_path):
    nodes = [
        node("QuantizeLinear", ["b_dq"], "a"),
        *pair("loop_dq", ["scale", "zero"]),
        node("QuantizeLinear", ["loop_dq_dq", "scale", "zero"], "loop_q"),
        node("DequantizeLinear", ["loop_q", "scale", "zero"], "loop_dq"),
        helper.make_node("QuantizeLinear", ["relu", "scale"], []),
        node("Conv", ["relu"], "no_weight"),
        node("Conv", ["relu", "loop_dq"], "loop"),
    ]
    path = network(tmp_path / "m.onnx", nodes=nodes)
    assert rules(path) == []
    model = onnx.load(path)
    zero = next(tensor for tensor in model.graph.initializer if tensor.name == "zero")
    zero.raw_data = b"too long"
    onnx.save(model, path)
    assert rules(path) == ["zero-point"]


@pytest.mark.parametrize(("capability", "expected"), [("8.7", ["fp8"]), ("8.9", []), ("11.0", []), (None, [])])
def test_fp8_needs_a_gpu_that_has_it(tmp_path, capability, expected):
    path = network(tmp_path / "m.onnx", opset=19, ir=9)
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name in ("weight", "zero"):
            shape = [] if tensor.name == "zero" else [8, 4, 3, 3]
            count = int(np.prod(shape))
            tensor.CopyFrom(helper.make_tensor(tensor.name, TensorProto.FLOAT8E4M3FN, shape, [0.0] * count))
    onnx.save(model, path)
    assert rules(path, Destination(max_opset=20, compute_capability=capability)) == expected


@pytest.mark.parametrize(
    ("to", "warned"),
    [
        (Destination(20, "8.7", "10.3.0"), True),
        (Destination(20, "8.7", "10.30.0"), False),
        (Destination(20, "8.7", "8.6.2"), False),
        (Destination(20, "8.7"), True),
        (Destination(17, "8.7"), False),
        (Destination(24, "11.0"), False),
    ],
)
def test_int8_on_the_tensorrt_of_jetpack_6_is_warned_of(tmp_path, to, warned):
    path = network(tmp_path / "m.onnx")
    assert rules(path, to) == (["int8-on-10.3"] if warned else [])


@pytest.mark.parametrize(
    ("model", "opset", "ceiling", "version"),
    [("resnet8", 17, 17, "8.6.2"), ("mobilenet_v3_small", 17, 17, "8.6.2"), ("resnet8", 18, 20, "10.7.0")],
)
def test_files_of_edgekd_break_none(tmp_path, source_of, model, opset, ceiling, version):  # noqa: PLR0917 - fixtures and cases
    untrained = networks.untrained(networks.architecture(model, classes=10, shape=(1, 28, 28)), 0)
    export_onnx(untrained, torch.zeros(1, 1, 28, 28), tmp_path / "f.onnx", opset=opset)
    images = np.random.default_rng(0).normal(size=(8, 1, 28, 28)).astype(np.float32)
    for precision in precisions:
        path = write(source_of(tmp_path / "f.onnx", images, max_opset=ceiling), precision, tmp_path / "own.onnx")
        assert lint(path, Destination(ceiling, "8.7", version)) == ()
