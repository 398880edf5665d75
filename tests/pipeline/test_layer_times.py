"""Layers are found in the traces of the files that ONNX Runtime optimised, by the names that it gives their nodes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.deploy.quantise.subsets import Layer
from edgekd.pipeline.layer_times import layers
from edgekd.values import Node, Trace


def trace(*nodes):
    """Of nodes with their milliseconds, as ONNX Runtime reports them."""
    ops = {"Q": "QLinearConv", "C": "Conv", "G": "Gemm", "A": "Add"}
    made = [Node(name=name, op=ops[op], provider="CPUExecutionProvider", ms=ms) for name, op, ms in nodes]
    return Trace(inferences=1, nodes=tuple(made))


@pytest.fixture
def graph():
    """stem → relu → two branches, one of which is wide → their sum → relu; and a fully connected layer."""
    shapes = {"stem.w": (96, 3, 3, 3), "left.w": (8, 96, 1, 1), "right.w": (8, 96, 3, 3), "fc.w": (10, 8)}
    weights = [onnx.numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "stem.w"], ["s"], "/stem/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["s"], ["sr"], "/stem/Relu"),
        helper.make_node("Conv", ["sr", "left.w"], ["l"], "/left/Conv"),
        helper.make_node("Conv", ["sr", "right.w"], ["r"], "/right/Conv", pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["l", "r"], ["a"], "/Add"),
        helper.make_node("Relu", ["a"], ["ar"], "/Relu"),
        helper.make_node("GlobalAveragePool", ["ar"], ["p"], "/Pool"),
        helper.make_node("Flatten", ["p"], ["f"], "/Flatten"),
        helper.make_node("Gemm", ["f", "fc.w"], ["y"], "/fc/Gemm", transB=1),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])]
    return helper.make_graph(nodes, "g", inputs, outputs, weights)


def test_nodes_are_found_under_their_own_name_and_those_of_what_they_are_fused_with(graph):
    """ONNX Runtime calls a node of its blocked layout after what it gives, and numbers nodes of one name."""
    floats = trace(
        ("sr_nchwc", "C", 0.4),
        ("l_nchwc", "C", 0.3),
        ("ar_nchwc", "C", 0.2),
        ("fused /fc/Gemm", "G", 0.1),
        ("s", "A", 9),
    )
    integers = trace(
        ("/stem/Conv_token_3", "Q", 0.1),
        ("/left/Conv", "Q", 0.2),
        ("/right/Conv_nhwc", "Q", 0.3),
        ("/fc/Gemm", "G", 0.4),
    )
    assert layers(graph, floats, integers) == (
        Layer("stem.w", 0, 0.4, 0.1),
        Layer("left.w", 96, 0.3, 0.2),
        Layer("right.w", 0, 0.2, 0.3),
        Layer("fc.w", 0, 0.1, 0.4),
    )


def test_a_layer_that_is_not_in_a_trace_has_no_time_and_none_gets_anothers(graph):
    found = layers(graph, trace(("all", "C", 5.0)), trace(("/left/Conv", "Q", 0.2)))
    assert [(layer.float_ms, layer.integer_ms) for layer in found] == [
        (None, None),
        (None, 0.2),
        (None, None),
        (None, None),
    ]


def test_layers_of_one_weight_count_together(graph):
    graph.node[3].input[1] = "left.w"
    floats = trace(("/stem/Conv", "C", 0.4), ("/left/Conv", "C", 0.3), ("/right/Conv", "C", 0.2))
    (shared,) = (layer for layer in layers(graph, floats, floats) if layer.name == "left.w")
    assert shared.float_ms == pytest.approx(0.5)
