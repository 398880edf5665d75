import math

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.deploy.quantise.placement_onnxruntime import placement


def graph(nodes, outputs, shapes, weights, given=(1, 4, 8, 8)):
    """A graph of nodes (operator, inputs, output, attributes); all that isn't computed is a weight of that shape."""
    made = [helper.make_node(op, inputs, [output], **more) for op, inputs, output, more in nodes]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    constants = [numpy_helper.from_array(np.zeros(shape, np.float32), name) for name, shape in weights.items()]
    return helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        constants,
        value_info=values,
    )


def read(found, graph):
    """The activations with a pair, with the operators that read them behind it."""
    places = {}
    for number, index in found.activations:
        places.setdefault(graph.node[number].input[index], []).append(graph.node[number].op_type)
    return {name: sorted(ops) for name, ops in places.items()}


CONV = {"kernel_shape": [1, 1]}
W = {"w": (4, 4, 1, 1), "v": (4, 4, 1, 1), "zero": (), "six": ()}


def test_a_rectifier_is_absorbed_and_its_bound_is_kept():
    net = graph(
        [("Conv", ["x", "w"], "c", CONV), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v"], "y", CONV)], ["y"], {}, W
    )
    found = placement(net)
    assert read(found, net) == {"x": ["Conv"], "r": ["Conv"]}
    assert found.outputs == ("y",)
    assert found.bounds == {"r": (0.0, math.inf)}


def test_a_rectifier_whose_input_is_read_elsewhere_is_not_absorbed():
    nodes = [("Conv", ["x", "w"], "c", CONV), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v"], "d", CONV)]
    net = graph([*nodes, ("Sub", ["d", "c"], "y", {})], ["y"], {}, W)
    assert read(placement(net), net) == {"x": ["Conv"], "c": ["Relu", "Sub"], "r": ["Conv"], "d": ["Sub"]}


def test_a_clip_at_one_side_of_zero_is_not_absorbed():
    for least, absorbed in ((0.0, True), (1.0, False)):
        net = graph([("Conv", ["x", "w"], "c", CONV), ("Clip", ["c", "least"], "r", {})], ["r"], {}, W)
        net.initializer.append(numpy_helper.from_array(np.array(least, np.float32), "least"))
        assert placement(net).outputs == (("r",) if absorbed else ())
        assert ("c" in read(placement(net), net)) is not absorbed


def test_float_producers_are_read_as_they_are_by_what_computes_in_floats():
    nodes = [("Conv", ["x", "w"], "c", CONV), ("Exp", ["x"], "e", {}), ("Sub", ["c", "e"], "y", {})]
    net = graph(nodes, ["y"], {}, W)
    assert read(placement(net), net) == {"x": ["Conv"], "c": ["Sub"]}


@pytest.mark.parametrize("layers", [{"w"}, {"w", "v"}, None])
def test_an_addition_is_integer_only_where_all_of_it_is_and_something_needs_that(layers):
    nodes = [("Conv", ["x", "w"], "c", CONV), ("Conv", ["x", "v"], "d", CONV), ("Add", ["c", "d"], "s", {})]
    net = graph([*nodes, ("Conv", ["s", "u"], "y", CONV)], ["y"], {}, {**W, "u": (4, 4, 1, 1)})
    found = read(placement(net, layers), net)
    integer = layers is None
    assert found["c"] == ["Add"]
    assert ("s" in found) is integer
    assert ("d" in found) is (layers != {"w"})


def test_a_small_float_input_is_converted_and_a_large_one_is_not():
    for size, integer in (((1, 4, 1, 1), True), ((1, 4, 8, 8), False)):
        nodes = [("Conv", ["x", "w"], "c", CONV), ("Exp", ["z"], "e", {}), ("Mul", ["c", "e"], "m", {})]
        net = graph([*nodes, ("Conv", ["m", "v"], "y", CONV)], ["y"], {"e": size, "m": (1, 4, 8, 8)}, W)
        net.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, size))
        assert ("e" in read(placement(net), net)) is integer


def test_what_moves_values_keeps_their_scale():
    nodes = [("Conv", ["x", "w"], "c", CONV), ("MaxPool", ["c"], "m", {"kernel_shape": [2, 2], "strides": [2, 2]})]
    net = graph([*nodes, ("Flatten", ["m"], "f", {}), ("Gemm", ["f", "g"], "y", {})], ["y"], {}, {**W, "g": (64, 3)})
    found = placement(net)
    assert dict(found.like) == {"m": "c", "f": "m"}
    assert read(found, net) == {"x": ["Conv"], "c": ["MaxPool"], "m": ["Flatten"], "f": ["Gemm"]}
    # its kernel gives floats
    assert found.outputs == ()


def test_a_layer_without_an_integer_kernel_stays_float():
    net = graph([("ConvTranspose", ["x", "w"], "c", CONV), ("Conv", ["x", "v", "c"], "y", CONV)], ["y"], {}, W)
    assert placement(net).weights == ()
