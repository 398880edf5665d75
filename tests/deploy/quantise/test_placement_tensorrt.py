import onnx
import pytest
import torch
from torch import nn

from edgekd.deploy.export import export_onnx
from edgekd.deploy.quantise.placement_tensorrt import placement
from edgekd.deploy.quantise.simplify import simplified
from edgekd.zoo import networks


class Shapes(nn.Module):
    """A residual with a shortcut of its own, one without, a concatenation, a gate, a depthwise layer and a Gemm."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.long = nn.Sequential(
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1)
        )
        self.short = nn.Conv2d(8, 16, 1, stride=2)
        self.plain = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU6(), nn.Conv2d(16, 16, 1))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Sigmoid())
        self.left, self.right = nn.Conv2d(16, 8, 1), nn.Conv2d(16, 8, 1)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.last = nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(self.short(x) + self.long(x))
        x = x + self.plain(x)
        x = x * self.gate(x)
        x = torch.cat([torch.relu(self.left(x)), torch.relu(self.right(x))], 1)
        return self.last(self.up(x).mean((2, 3)))


def graph_of(model, folder, shape, opset=17):
    export_onnx(model.eval(), torch.zeros(1, *shape), folder / "m.onnx", opset=opset)
    return simplified(folder / "m.onnx").graph


def makers(graph):
    return {output: node for node in graph.node for output in node.output}


@pytest.mark.parametrize("opset", [17, 18])
def test_layers_and_skips_are_quantised_and_nothing_else(tmp_path, opset):
    graph = graph_of(Shapes(), tmp_path, (3, 16, 16), opset)
    assert not [node for node in graph.node if node.op_type in ("BatchNormalization", "Constant", "Identity")]
    found = placement(graph)
    layers = [i for i, node in enumerate(graph.node) if node.op_type in ("Conv", "ConvTranspose", "Gemm")]
    assert [weight.node for weight in found.weights] == layers
    assert {graph.node[w.node].op_type: w.axis for w in found.weights} == {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}
    assert [place for place in found.activations if place[0] in layers] == [(i, 0) for i in layers]
    others = [place for place in found.activations if place[0] not in layers]
    adds = [i for i, node in enumerate(graph.node) if node.op_type == "Add"]
    assert [node for node, _ in others] == adds
    assert len(adds) == 2
    # the shortcut, which is the shallower branch; then what was there before the residual
    made_by = makers(graph)
    (first, index), (second, other) = others
    assert tuple(made_by[graph.node[first].input[index]].input[1:2]) == ("short.weight",)
    assert made_by[graph.node[second].input[other]].op_type == "Relu"


@pytest.mark.parametrize(
    ("model", "skips"), [("mobilenet_v1:width=0.5", 0), ("mobilenet_v2", 10), ("resnet20", 9), ("efficientnet_b0", 9)]
)
def test_networks_of_the_zoo(tmp_path, model, skips):
    network = networks.untrained(networks.architecture(model, classes=10, shape=(1, 28, 28)), 0)
    graph = graph_of(network, tmp_path, (1, 28, 28))
    found, made_by = placement(graph), makers(graph)
    read = {graph.node[i].input[index] for i, index in found.activations}
    adds = [(i, index) for i, index in found.activations if graph.node[i].op_type == "Add"]
    assert len(adds) == len({i for i, _ in adds}) == skips
    assert len(found.weights) == sum(node.op_type in ("Conv", "Gemm") for node in graph.node)
    for i, index in adds:
        fused = made_by[graph.node[i].input[1 - index]]
        assert fused.op_type == "Conv"
        assert fused.output[0] not in read
    for node in graph.node:
        if node.op_type in ("Relu", "Clip", "HardSwish"):
            assert node.input[0] not in read


def scaled(alpha):
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in "xy"]
    weight = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4, 4], [1.0] * 16)
    node = onnx.helper.make_node("Gemm", ["x", "w"], ["y"], alpha=alpha)
    return onnx.helper.make_graph([node], "g", values[:1], values[1:], [weight])


def test_a_gemm_that_scales_stays_float():
    assert placement(scaled(1.0)).weights[0].axis == 1
    assert placement(scaled(0.5)).weights == ()


def test_a_layer_with_a_weight_that_is_computed_stays_float(tmp_path):
    class Computed(nn.Module):
        def forward(self, x):
            return nn.functional.conv2d(x, x.mean((0, 2, 3), keepdim=True).reshape(3, 1, 1, 1), groups=3)

    found = placement(graph_of(Computed(), tmp_path, (3, 8, 8)))
    assert found.weights == found.activations == ()


def test_an_addition_that_broadcasts_is_no_residual(tmp_path):
    class Broadcasts(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(x) + x.mean((2, 3), keepdim=True)

    graph = graph_of(Broadcasts(), tmp_path, (3, 8, 8))
    assert {graph.node[i].op_type for i, _ in placement(graph).activations} == {"Conv"}
