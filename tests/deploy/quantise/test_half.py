"""Float16 where it holds the values, float32 where it doesn't, seen on images."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.deploy.literal import literal_outputs
from edgekd.deploy.preflight.lint import lint
from edgekd.deploy.preflight.rule import Destination
from edgekd.deploy.quantise.half import KEPT, beyond_half, half

IMAGES = np.random.default_rng(0).random((4, 3, 8, 8)).astype(np.float32)


def network(tmp_path, gain, *, at_the_end=False):
    """Multiplies by `gain`, adds, and divides by it again, between two convolutions; or doesn't divide."""
    random = np.random.default_rng(1)
    weights = {
        "first": random.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "second": random.standard_normal((5, 4, 3, 3)).astype(np.float32),
        "gain": np.full((1, 4, 1, 1), gain, np.float32),
        "undo": np.full((1, 4, 1, 1), 1 if at_the_end else 1 / gain, np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "first"], ["a"], "one"),
        helper.make_node("Mul", ["a", "gain"], ["big"]),
        helper.make_node("Relu", ["big"], ["still"]),
        helper.make_node("Mul", ["still", "undo"], ["small"]),
        helper.make_node("Conv", ["small", "second"], ["y"], "two"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5, 4, 4])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(model, tmp_path):
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, tmp_path / "net.onnx")
    return literal_outputs(tmp_path / "net.onnx", [IMAGES])[0]


def types(model):
    return {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_all_is_float16_where_it_holds_the_values(tmp_path):
    model = network(tmp_path, 2.0)
    assert beyond_half(model, IMAGES) == {}
    converted = half(model, {})
    assert set(types(converted).values()) == {TensorProto.FLOAT16}
    assert not converted.metadata_props
    np.testing.assert_allclose(outputs(converted, tmp_path), outputs(model, tmp_path), rtol=0.02, atol=0.02)


@pytest.mark.parametrize(("gain", "at_the_end"), [(1e6, False), (1e-9, False), (1e6, True)])
def test_what_overflows_or_vanishes_stays_in_float32_all_the_way(tmp_path, gain, at_the_end):
    model = network(tmp_path, gain, at_the_end=at_the_end)
    expected = outputs(model, tmp_path)
    plain = outputs(half(model, {}), tmp_path)
    assert not np.isfinite(plain).all() or np.abs(plain - expected).max() > 0.1 * np.abs(expected).max()
    beyond = beyond_half(model, IMAGES)
    assert {"big", "still"} <= beyond.keys()
    converted = half(model, beyond)
    assert types(converted)["first"] == TensorProto.FLOAT16
    assert converted.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert converted.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    found = outputs(converted, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.005 * np.abs(expected).max())
    stated = {entry.key: entry.value for entry in converted.metadata_props}
    assert json.loads(stated[KEPT]) == beyond
    warnings = [one.message for one in lint(tmp_path / "net.onnx", Destination(20)) if one.rule == "fp32-kept"]
    assert len(warnings) == 1
    assert "big (" in warnings[0]


def test_weights_are_seen_without_images(tmp_path):
    model = network(tmp_path, 1e6)
    assert beyond_half(model, None) == {"gain": "reaches 1e+06", "undo": "is at most 1e-06"}


def test_a_bias_of_nearly_nothing_keeps_no_node_from_float16(tmp_path):
    model = network(tmp_path, 2.0)
    model.graph.node[0].input.append("bias")
    model.graph.initializer.append(numpy_helper.from_array(np.full(4, 1e-8, np.float32), "bias"))
    assert beyond_half(model, IMAGES) == {}


def test_a_pair_of_integers_stays_together(tmp_path):
    """A value of which the quantised one is read: both nodes of the pair compute in the same type."""
    model = network(tmp_path, 1e6)
    scale, zero = numpy_helper.from_array(np.float32(1e4), "s"), numpy_helper.from_array(np.int8(0), "z")
    model.graph.initializer.extend([scale, zero])
    nodes = list(model.graph.node)
    nodes[3].input[0] = "d"
    pair = [
        helper.make_node("QuantizeLinear", ["still", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:3], *pair, *nodes[3:]])
    model = onnx.version_converter.convert_version(model, 19)
    converted = half(model, beyond_half(model, IMAGES))
    assert types(converted)["s"] == TensorProto.FLOAT
    found, expected = outputs(converted, tmp_path), outputs(model, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.01 * np.abs(expected).max())
