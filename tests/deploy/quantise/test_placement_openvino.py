import numpy as np
import onnxruntime
import pytest

from edgekd.deploy.quantise.placement_openvino import placement, with_hard_swishes

WEIGHTS = {name: np.ones((4, 4, 1, 1)) for name in ("w", "v", "u")}
SWISH = {"alpha": 1 / 6, "beta": 0.5}


def residual(chain):
    """A layer, its residual addition, a gate by a mean, and a layer."""
    return chain(
        [
            ("Conv", ["x", "w"], "a", {}),
            ("Relu", ["a"], "b", {}),
            ("Conv", ["b", "v"], "c", {}),
            ("Add", ["c", "b"], "d", {}),
            ("GlobalAveragePool", ["d"], "e", {}),
            ("Sigmoid", ["e"], "f", {}),
            ("Mul", ["d", "f"], "g", {}),
            ("Conv", ["g", "u"], "y", {}),
        ],
        WEIGHTS,
    )


def read(graph, layers=None):
    found = placement(graph, layers)
    return [(graph.node[number].op_type, graph.node[number].input[index]) for number, index in found.activations]


def test_the_inputs_of_layers_and_of_additions_are_quantised_and_no_others(chain):
    found = read(residual(chain).graph)
    assert found == [("Conv", "x"), ("Conv", "b"), ("Add", "c"), ("Add", "b"), ("Conv", "g")]


def test_of_chosen_layers_only_their_inputs_and_additions_are(chain):
    graph = residual(chain).graph
    assert read(graph, {"w"}) == [("Conv", "x")]
    assert read(graph, {"v"}) == [("Conv", "b"), ("Add", "c"), ("Add", "b")]


@pytest.mark.parametrize(
    ("gate", "opset", "swishes"), [(SWISH, 18, 1), (SWISH, 13, 0), ({"alpha": 0.2, "beta": 0.5}, 18, 0)]
)
def test_a_hard_sigmoid_and_its_product_become_a_hard_swish_where_they_are_one(chain, gate, opset, swishes):
    model = chain([("HardSigmoid", ["x"], "h", gate), ("Mul", ["x", "h"], "y", {})], {})
    before = ran(model)
    with_hard_swishes(model, opset)
    assert [node.op_type for node in model.graph.node].count("HardSwish") == swishes
    assert len(model.graph.node) == 2 - swishes
    np.testing.assert_allclose(ran(model), before, atol=1e-6)


def test_the_gate_of_another_value_stays(chain):
    nodes = [("Relu", ["x"], "r", {}), ("HardSigmoid", ["r"], "h", SWISH), ("Mul", ["x", "h"], "y", {})]
    model = chain(nodes, {})
    with_hard_swishes(model, 18)
    assert [node.op_type for node in model.graph.node] == ["Relu", "HardSigmoid", "Mul"]


def ran(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.linspace(-5, 5, 256, dtype=np.float32).reshape(1, 4, 8, 8)
    return session.run(None, {"x": image})[0]
