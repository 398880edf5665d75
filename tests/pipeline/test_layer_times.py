"""Layers are found in the traces of the files that ONNX Runtime optimised, by the names that it gives their nodes."""

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from edgekd import catalog
from edgekd.deploy.export import export_onnx
from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.subsets import Layer
from edgekd.deploy.writers._base import WRITERS
from edgekd.devices.device import connect
from edgekd.measuring.artifact import describe
from edgekd.measuring.nodes import products
from edgekd.measuring.session import measure
from edgekd.pipeline.layer_times import layers
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol, Node, Trace
from edgekd.zoo import networks


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


def test_a_layer_that_is_called_after_its_weight_is_found(graph):
    found = layers(graph, trace(("left.w", "C", 0.3), ("stem.w", "C", 0.4)), trace(("left.w", "C", 0.2)))
    assert [(layer.float_ms, layer.integer_ms) for layer in found[:2]] == [(0.4, None), (0.3, 0.2)]


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnxruntime", "ncnn"])
def test_every_layer_is_found_in_real_traces_of_a_network_with_branches(source_of, tmp_path, runtime):
    """Of depthwise convolutions, residual additions and squeeze-and-excitation, as this runtime names them."""
    writer = catalog.load(WRITERS, runtime)
    architecture = networks.architecture("mobilenet_v3_small", classes=10, shape=(3, 32, 32))
    fp32, images = tmp_path / "net.onnx", np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    export_onnx(networks.untrained(architecture, 0), torch.zeros(1, 3, 32, 32), fp32)
    source = source_of(fp32, images)
    files = [writer.write(source, precision, tmp_path / f"{precision}.onnx") for precision in ("fp32", "int8")]
    artifacts = [describe(path, name=path.stem, runtime=runtime) for path in files]
    with connect("local:") as device:
        measured = measure(
            artifacts,
            device=device,
            target=catalog.target("x86-cpu"),
            protocol=MeasuringProtocol(launches=1, seconds=0.05, block_seconds=0.01, warmup_seconds=0.05),
            progress=Silent(),
            traced=True,
            steady=False,
        )
    floats, integers = (measurement.trace for measurement in measured)
    graph = onnx.load(source.calibrated.graph).graph
    found = layers(graph, floats, integers)
    assert len(found) == len({*named(graph)}) > 40
    assert [layer.name for layer in found if layer.float_ms is None or layer.integer_ms is None] == []
    # nothing is left over: every product of either trace is a layer's
    for trace, times in ((floats, [f.float_ms for f in found]), (integers, [f.integer_ms for f in found])):
        assert sum(times) == pytest.approx(sum(node.ms for node in products(trace)))
