"""What is counted of ncnn's files, beside the counts of PyTorch and the shapes that ncnn itself computes."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.deploy.export import export_onnx
from edgekd.deploy.writers.ncnn import write
from edgekd.errors import EdgekdError
from edgekd.measuring.graph.inspection import inspect_file
from edgekd.measuring.graph.ncnn_shapes import shapes
from edgekd.pipeline.inspect import inspect
from edgekd.runtimes import ncnn as runtime
from edgekd.zoo.cost import macs, parameters


class Network(nn.Module):
    """Layers of many kinds, one after another and side by side."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, 2, 1)
        self.deep = nn.Conv2d(8, 8, (3, 5), padding=(1, 2), groups=8, bias=False)
        self.dilated = nn.Conv2d(8, 12, 3, dilation=2, stride=2, groups=4)
        self.wide = nn.Conv2d(15, 16, 1)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        x = F.hardswish(self.first(x))
        x = self.deep(F.pad(x, (1, 2, 0, 3))) * torch.sigmoid(F.adaptive_avg_pool2d(x, 1))
        x = self.dilated(F.max_pool2d(x, 3, 2, 1))
        x = torch.cat([F.avg_pool2d(x, 2, 1, 1, ceil_mode=True), F.relu6(F.avg_pool2d(x, 2, 1, 1))[:, 2:5]], 1)
        return self.head(torch.flatten(F.adaptive_avg_pool2d(self.wide(x), 1), 1))


@pytest.fixture
def written(tmp_path, source_of):
    """The network, its ONNX file, and that as a file of ncnn in a precision."""
    torch.manual_seed(0)
    network = Network().eval()
    export_onnx(network, torch.zeros(1, 3, 40, 36), tmp_path / "m.onnx")

    def make(precision):
        images = np.random.default_rng(0).standard_normal((8, 3, 40, 36)).astype("float32")
        source = source_of(tmp_path / "m.onnx", images if "int8" in precision else None)
        return network, tmp_path / "m.onnx", write(source, precision, tmp_path / "n.onnx")

    return make


def test_layers_macs_and_parameters_are_those_of_the_network(written):
    network, onnx_file, path = written("fp32")
    found, same = inspect(path), inspect_file(onnx_file)
    assert (found.format, found.ir_version, found.dynamic, found.not_counted) == ("ncnn", None, False, ())
    assert found.totals.macs == same.totals.macs == macs(network, (3, 40, 36))
    assert found.totals.parameters == parameters(network)
    assert [layer.macs for layer in found.layers] == [layer.macs for layer in same.layers]
    assert [layer.name for layer in found.layers] == [layer.name for layer in same.layers]
    assert [tensor.shape for tensor in (*found.inputs, *found.outputs)] == [(1, 3, 40, 36), (1, 5)]
    assert {layer.precision for layer in found.layers} == {"fp32"}
    assert (found.totals.file_bytes, found.totals.external_bytes) == (
        path.stat().st_size,
        path.with_suffix(".bin").stat().st_size,
    )


@pytest.mark.parametrize(("precision", "stored"), [("fp16", {"fp16"}), ("int8", {"fp32", "int8"})])
def test_precisions_are_read_from_the_files(written, precision, stored):
    _, _, path = written(precision)
    found = inspect(path)
    assert {layer.precision for layer in found.layers} == stored
    in_integers = sum(layer.macs for layer in found.layers if layer.precision == "int8")
    assert found.totals.int8_macs == in_integers
    assert (found.totals.int8_coverage > 0) == (precision == "int8")


@pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="ncnn isn't installed")
def test_shapes_are_those_that_ncnn_computes(written):
    _, _, path = written("fp32")
    layers = runtime.layers(str(path))
    session = runtime.open(str(path))
    session._net.opt.lightmode = False  # it keeps what lies between
    import ncnn

    extractor = session._net.create_extractor()
    extractor.input("input", ncnn.Mat(np.zeros((3, 40, 36), np.float32)).clone())
    known = shapes(layers)
    assert set(known) == {top for layer in layers for top in layer.tops}
    for name, shape in known.items():
        assert np.array(extractor.extract(name)[1]).shape == shape, name


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Pooling p 1 1 a y 0=0 1=3 2=2 5=2", (4, 5, 5)),
        ("Pooling p 1 1 a y 7=1 8=3", (4, 3, 3)),
        ("Convolution c 1 1 a y 0=2 1=3 3=2 4=-233 6=72", (2, 5, 5)),
        ("Deconvolution c 1 1 a y 0=2 1=2 3=2 6=32", (2, 20, 18)),
        ("Reshape r 1 1 a y 0=-1 1=4", (4, 90)),
        ("Slice s 1 1 a y -23300=2,-233,-233 1=0", (2, 10, 9)),
        ("Unknown u 1 1 a y", None),
        ("Convolution c 1 1 a y 0=2 1=3 3=0 6=72", None),
        ("Reshape r 1 1 a y 0=0", None),
        ("Slice s 1 1 a y 1=0", None),
    ],
)
def test_shapes_of_what_others_write(line, kept):
    layers = [runtime.Layer(text.split()) for text in ("Input a 0 1 a 0=9 1=10 2=4", line)]
    assert shapes(layers).get("y") == kept


def test_a_layer_whose_shape_is_not_known_is_not_counted(tmp_path):
    text = "7767517\n3 3\nInput a 0 1 a 0=9 1=10 2=4\nUnknown u 1 1 a b\nConvolution c 1 1 b y 0=2 1=3 6=72\n"
    (tmp_path / "m.param").write_text(text)
    (tmp_path / "m.bin").write_bytes(bytes(300))
    found = inspect(tmp_path / "m.param")
    assert [(gone.op, gone.nodes) for gone in found.not_counted] == [("Convolution", 1)]
    assert (found.totals.macs, found.totals.parameters) == (0, 72)


@pytest.mark.parametrize(
    "text",
    ["", "hello", "7767517\n", "7767517\n1 1\nInput a 0 1\n", "7767517\n1 1\nConvolution c 0 1 y 0=x 6=9\n"],
)
def test_a_damaged_file_is_refused(tmp_path, text):
    (tmp_path / "m.param").write_text(text)
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(EdgekdError, match=r"isn't one of ncnn's \.param files|isn't a whole number: x"):
        inspect(tmp_path / "m.param")


def test_missing_weights_and_the_weights_alone_are_named(tmp_path):
    (tmp_path / "m.param").write_text("7767517\n1 1\nInput a 0 1 a\n")
    with pytest.raises(EdgekdError, match=r"weights m\.bin are missing"):
        inspect(tmp_path / "m.param")
    (tmp_path / "m.bin").write_bytes(b"")
    with pytest.raises(EdgekdError, match=r"holds the weights of m\.param"):
        inspect(tmp_path / "m.bin")
