"""What is converted gives what PyTorch gives, when ncnn runs it; what isn't is named."""

import importlib.util
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional as F

from edgekd.deploy.check import compare
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import manifest
from edgekd.deploy.ncnn.convert import converted
from edgekd.deploy.ncnn.layers import write
from edgekd.deploy.normalising import graph as normalising
from edgekd.deploy.quantise.simplify import simplified
from edgekd.errors import UnsupportedModelError
from edgekd.values import Feeding, Preprocessing

OUTPUTS = 5

needs_ncnn = pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="ncnn isn't installed")


class All(nn.Module):
    """Functions of the output of one convolution, each before another and a linear layer of its own."""

    def __init__(self, functions):
        super().__init__()
        self.first, self.functions = nn.Conv2d(3, 8, 3, 2, 1), functions
        self.modules_of = nn.ModuleList(one for one in functions if isinstance(one, nn.Module))
        self.last = nn.ModuleList(nn.LazyConv2d(6, 1) for _ in functions)
        self.heads = nn.ModuleList(nn.LazyLinear(OUTPUTS) for _ in functions)

    def forward(self, x):
        x = self.first(x)
        found = [last(one(x)) for one, last in zip(self.functions, self.last, strict=True)]
        return torch.cat([head(torch.flatten(x, 1)) for x, head in zip(found, self.heads, strict=True)], 1)


def gate(x):
    """Squeeze and excitation without weights."""
    return x * torch.sigmoid(F.relu(F.adaptive_avg_pool2d(x, 1)))


def shuffled(x):
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


FUNCTIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky": lambda x: F.leaky_relu(x, 0.2),
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "elu": F.elu,
    "mish": F.mish,
    "prelu": nn.PReLU(8),
    "gate": gate,
    "added": lambda x: x + F.relu(x),
    "subtracted and divided": lambda x: (1 - x) / (2 + torch.sigmoid(x)),
    "by channel": lambda x: 3 - (x * torch.arange(1.0, 9)[:, None, None] - torch.ones(8, 1, 1)),
    "max pool": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max pool, ceil": lambda x: F.max_pool2d(x, 2, 2, ceil_mode=True),
    "average pool": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "average pool of what is inside": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    "pad": lambda x: F.pad(x, (1, 2, 0, 3)),
    "more channels": lambda x: F.pad(x, (0, 0, 0, 0, 3, 4)),
    "concat": lambda x: torch.cat([x, F.relu(x), x[:, 2:5]], 1),
    "part": lambda x: x[:, :, 1:-1, 2:],
    "split": lambda x: torch.cat(torch.split(x, [3, 5], 1)[::-1], 1),
    "shuffle": shuffled,
    "normalised": nn.Sequential(nn.ReLU(), nn.BatchNorm2d(8)),
    "two exits": lambda x: F.relu(x) + F.silu(x) * F.hardswish(x),
    "grouped": nn.Conv2d(8, 12, 3, padding=1, groups=4),
    "depthwise, dilated": nn.Conv2d(8, 8, (3, 5), dilation=(1, 2), padding=(1, 4), groups=8, bias=False),
    "oblong": nn.Conv2d(8, 4, (1, 3), stride=(2, 1), padding=(0, 1)),
    "global": lambda x: F.adaptive_avg_pool2d(x, 1),
    "greatest": lambda x: F.adaptive_max_pool2d(x, 1),
}


@needs_ncnn
@pytest.mark.parametrize("dynamo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_it_gives_what_pytorch_gives(dynamo, tmp_path):
    from edgekd.runtimes import ncnn as runtime

    model, path, images = All([*FUNCTIONS.values()]).eval(), tmp_path / "m.onnx", torch.randn(4, 3, 18, 14)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    with torch.no_grad():
        expected = model(images).numpy()
    if dynamo:
        export_onnx(model, images[:1], path)
    else:
        warnings.simplefilter("ignore")  # that it is the older one
        torch.onnx.export(model, (images[:1],), str(path), dynamo=False, opset_version=17)
    write(converted(simplified(path)), tmp_path / "m.param")
    session = runtime.open(str(tmp_path / "m.param"))
    (given,) = session.inputs()
    found = np.concatenate([session.run({given["name"]: image[None]})[0] for image in images.numpy()])
    parts = zip(*(np.split(values, len(FUNCTIONS), 1) for values in (expected, found)), strict=True)
    kept = {name: compare(*part).sqnr_db for name, part in zip(FUNCTIONS, parts, strict=True)}
    assert {name: decibels for name, decibels in kept.items() if decibels < 90} == {}


@needs_ncnn
@pytest.mark.parametrize("std", [(0.2, 0.3, 0.25), (0.5, 0.5, 0.5)])
def test_pixels_are_normalised_in_the_graph(tmp_path, std, runner_of):
    how = Preprocessing(height=10, width=12, mean=(0.4, 0.5, 0.6), std=std, colour="rgb")
    feeding = Feeding(preprocessing=how, normalised_by="graph", classes=tuple("abcd"))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(640, 4)).eval()
    whole, example = normalising(model, torch.zeros(1, 3, 10, 12), feeding)
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(whole, (example,), str(tmp_path / "m.onnx"), dynamo=False, opset_version=17)
    write(converted(simplified(tmp_path / "m.onnx")), tmp_path / "m.param")
    runner = runner_of(tmp_path / "m.param", "ncnn", feeding)
    given = manifest(runner.artifact, runner.artifact.path, feeding).input
    assert (given.shape, given.layout, given.dtype) == ((1, 10, 12, 3), "NHWC", "float32")
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (how.mean, how.std))
    images = (torch.randint(0, 256, (4, 3, 10, 12)) / 255 - mean) / deviation
    with torch.no_grad():
        assert compare(model(images).numpy(), runner(images.numpy())).sqnr_db > 90


def graph(*nodes, shape=(1, 4, 6, 6), kind=TensorProto.FLOAT, constants=None):
    given = [helper.make_tensor_value_info("x", kind, shape)]
    made = helper.make_graph(
        list(nodes), "g", given, [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()],
    )  # fmt: skip
    known = [helper.make_opsetid("", 18), helper.make_opsetid("made.up", 1)]
    return onnx.shape_inference.infer_shapes(helper.make_model(made, opset_imports=known))


def node(op, *inputs, **attributes):
    return helper.make_node(op, ["x", *inputs], ["y"], **attributes)


ONES = np.ones((4, 4, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (graph(node("Det")), "Det of y can't be converted to ncnn: edgekd has no such layer"),
        (graph(node("Odd", domain="made.up")), r"ncnn has no made.up:Odd \(y\)"),
        (graph(node("Relu"), shape=(2, 4, 6, 6)), "ncnn takes one image"),
        (graph(node("Relu"), shape=("N", 4, 6, 6)), "ncnn takes one image"),
        (graph(node("Relu"), shape=(1, 4)), "ncnn takes one image"),
        (graph(node("Relu"), kind=TensorProto.DOUBLE), "the input x is of another type"),
        (graph(node("Cast", to=TensorProto.FLOAT), kind=TensorProto.UINT8), "Cast of y can't be converted to ncnn"),
        (graph(node("Conv", "w", auto_pad="SAME_UPPER"), constants={"w": ONES}), r"Conv of y .*\(auto_pad\)"),
        (graph(node("Add", "w"), constants={"w": np.ones((6, 6), np.float32)}), "one value for each channel"),
        (graph(node("ReduceMean", "w", keepdims=0), constants={"w": [1]}), "isn't one value of each channel"),
        (graph(node("Softmax", axis=0)), "it works along axis 0"),
        (graph(node("Conv", "x2"), shape=(1, 4, 6, 6)), "its weight isn't a constant"),
    ],
)
def test_what_cannot_be_converted_is_named(model, says):
    with pytest.raises(UnsupportedModelError, match=says):
        converted(model)


def test_layers_are_called_as_their_weights_and_take_activations(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU6(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(64, 2), nn.ReLU())
    export_onnx(model.eval(), torch.zeros(1, 3, 6, 6), tmp_path / "m.onnx")
    layers = converted(simplified(tmp_path / "m.onnx"))
    assert [layer.kind for layer in layers] == ["Input", "Convolution", "Convolution", "Reshape", "InnerProduct"]
    assert [layers[i].name for i in (1, 2, 4)] == ["0.weight", "2.weight", "4.weight"]
    assert [layers[i].parameters.get(9) for i in (1, 2, 4)] == [3, None, 1]
    assert layers[1].parameters[10] == (0.0, 6.0)


def test_a_layer_that_several_read_keeps_its_activation_apart(tmp_path):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            x = self.conv(x)
            return torch.flatten(F.relu(x) + x, 1)

    export_onnx(Two().eval(), torch.zeros(1, 3, 6, 6), tmp_path / "m.onnx")
    assert "ReLU" in [layer.kind for layer in converted(simplified(tmp_path / "m.onnx"))]


@needs_ncnn
def test_outputs_are_in_the_order_of_the_onnx_file(tmp_path):
    """Whichever is computed first."""
    from edgekd.runtimes import ncnn as runtime

    float32 = TensorProto.FLOAT
    made = helper.make_graph(
        [helper.make_node("Conv", ["x", f"w{n}"], [f"y{n}"], kernel_shape=[1, 1]) for n in range(3)],
        "g",
        [helper.make_tensor_value_info("x", float32, (1, 4, 6, 6))],
        [helper.make_tensor_value_info(f"y{n}", float32, (1, n + 1, 6, 6)) for n in (2, 0, 1)],
        [onnx.numpy_helper.from_array(np.full((n + 1, 4, 1, 1), n, np.float32), f"w{n}") for n in range(3)],
    )
    write(converted(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])), tmp_path / "m.param")
    session = runtime.open(str(tmp_path / "m.param"))
    found = session.run({session.inputs()[0]["name"]: np.ones((1, 4, 6, 6), np.float32)})
    assert [one.shape[1] for one in found] == [3, 1, 2]
    assert [float(one.flat[0]) for one in found] == [8.0, 0.0, 4.0]
