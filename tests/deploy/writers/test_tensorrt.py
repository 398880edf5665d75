import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, numpy_helper
from torch import nn

from edgekd.data.fixed_images import labelled
from edgekd.data.load import load_dataset
from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.writers.tensorrt import precisions, usage, write
from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.values import Data, Feeding, Manifest, Port, Preprocessing


class Net(nn.Module):
    """A stem, a residual block with a shortcut of its own, a depthwise layer and a Gemm."""

    def __init__(self):
        super().__init__()

        def block(i, o, k, stride=1, groups=1):
            return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]

        self.stem = nn.Sequential(*block(1, 16, 3), nn.ReLU())
        self.long = nn.Sequential(*block(16, 32, 3, 2), nn.ReLU(), *block(32, 32, 3))
        self.short = nn.Sequential(*block(16, 32, 1, 2))
        self.tail = nn.Sequential(nn.ReLU(), *block(32, 32, 3, groups=32), nn.ReLU6())
        self.last = nn.Linear(32, 10)

    def forward(self, x):
        x = self.stem(x)
        return self.last(self.tail(self.long(x) + self.short(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A network that knows digits, exported; its logits; calibration and validation images with labels."""
    data = load_dataset(Data(source="digits"), root=None, download=False)
    images, labels = labelled(data.train, 1200)
    val, answers = labelled(data.val, 300)
    torch.manual_seed(0)
    model, threads = Net(), torch.get_num_threads()
    torch.set_num_threads(1)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(4):
        for part in torch.randperm(len(images)).split(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.tensor(images[part])), torch.tensor(labels[part])).backward()
            optimizer.step()
    torch.set_num_threads(threads)
    path = tmp_path_factory.mktemp("trt") / "net.onnx"
    export_onnx(model, torch.zeros(1, *data.train.shape), path, opset=17)
    with torch.inference_mode():
        logits = model(torch.tensor(val)).numpy()
    assert (logits.argmax(1) == answers).mean() > 0.9
    return path, logits, images[:128], val, answers


def literally(path, images):
    """The logits of what the file says: ONNX Runtime fuses nothing."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {session.get_inputs()[0].name: image[None]})[0] for image in images])


@pytest.mark.parametrize(("precision", "at_least_db"), [("fp16", 50), ("int8+fp32", 22), ("int8+fp16", 22)])
def test_every_file_is_valid_and_keeps_the_network(trained, tmp_path, precision, at_least_db, source_of):
    exported, logits, images, val, answers = trained
    path = write(source_of(exported, images, max_opset=20), precision, tmp_path / "own.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    given = literally(path, val)
    parity = compare(logits, given)
    assert failure(parity, precisions[precision].tolerance) is None
    assert parity.sqnr_db > at_least_db
    assert (given.argmax(1) == answers).mean() >= (logits.argmax(1) == answers).mean() - 0.02


@pytest.mark.parametrize("precision", ["int8+fp32", "int8+fp16"])
def test_quantisation_is_as_tensorrt_wants_it(trained, tmp_path, precision, source_of):
    exported, _, images, _, _ = trained
    model = onnx.load(write(source_of(exported, images, max_opset=20), precision, tmp_path / "own.onnx"))
    graph, half = model.graph, precision.endswith("fp16")
    constants = {tensor.name: tensor for tensor in graph.initializer}
    made_by = {output: node for node in graph.node for output in node.output}
    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    for node in pairs:
        scale, zero = (numpy_helper.to_array(constants[name]) for name in node.input[1:])
        assert scale.dtype == (np.float16 if half else np.float32)
        assert zero.dtype == np.int8
        assert not zero.any()
        assert scale.shape == zero.shape
        assert (scale > 0).all()
    layers = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(layers) == 6
    for layer in layers:
        activation, weight = (made_by[name] for name in layer.input[:2])
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        assert list(constants[activation.input[1]].dims) == []
        axis = next(given.i for given in weight.attribute if given.name == "axis")
        held = constants[weight.input[0] if half else made_by[weight.input[0]].input[0]]
        assert held.data_type == (TensorProto.INT8 if half else TensorProto.FLOAT)
        assert axis == 0
        assert list(constants[weight.input[1]].dims) == list(held.dims)[:1]
        assert constants[layer.input[2]].data_type == (TensorProto.FLOAT16 if half else TensorProto.FLOAT)
    (add,) = (node for node in graph.node if node.op_type == "Add")
    kinds = [made_by[name] for name in add.input]
    assert sorted(node.op_type for node in kinds) == ["Conv", "DequantizeLinear"]
    # the shortcut's convolution is quantised behind, the other one fuses with the addition
    shortcut = made_by[made_by[next(n for n in kinds if n.op_type != "Conv").input[0]].input[0]]
    assert next(list(given.ints) for given in shortcut.attribute if given.name == "kernel_shape") == [1, 1]
    read = {node.input[0] for node in pairs if node.op_type == "QuantizeLinear"}
    assert not [node for node in graph.node if node.op_type in ("Relu", "Clip") and node.input[0] in read]
    assert not [n for n in graph.node if n.op_type in ("Relu", "Clip") and made_by[n.input[0]].op_type not in
                ("Conv", "Add")]  # fmt: skip


def test_typed_files_are_for_a_tensorrt_that_reads_them(trained, tmp_path, source_of):
    exported, _, images, _, _ = trained

    def written(precision, max_opset):
        path = write(source_of(exported, images, max_opset=max_opset), precision, tmp_path / "own.onnx")
        return path, onnx.load(path)

    assert written("fp32", 20)[0] == written("fp16", 17)[0] == exported
    for precision in ("int8+fp32", "int8+fp16"):
        _, model = written(precision, 17)
        assert [entry.version for entry in model.opset_import] == [17]
        assert {tensor.data_type for tensor in model.graph.initializer} <= {TensorProto.FLOAT, TensorProto.INT8}
        assert not [n for n in model.graph.initializer if n.data_type == TensorProto.INT8 and "zero" not in n.name]
    assert [entry.version for entry in written("int8+fp16", 20)[1].opset_import] == [19]
    assert [entry.version for entry in written("fp16", None)[1].opset_import] == [17]


def test_the_calibration_images_decide_the_scale_of_the_input(trained, tmp_path, source_of):
    exported, _, images, _, _ = trained
    scales = []
    for factor in (1, 10):
        path = write(source_of(exported, factor * images), "int8+fp32", tmp_path / "own.onnx")
        held = {tensor.name: tensor for tensor in onnx.load(path).graph.initializer}
        scales.append(float(numpy_helper.to_array(held["input_scale"])))
    assert scales[0] == pytest.approx(np.abs(images).max() / 127, rel=1e-6)
    assert scales[1] == pytest.approx(10 * scales[0], rel=1e-6)


def test_tiny_weights_keep_their_levels_with_half_scales(tmp_path, source_of):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()
    with torch.no_grad():
        model[0].weight *= 1e-3
        model[2].weight *= 1e3
    export_onnx(model, torch.zeros(1, 1, 8, 8), tmp_path / "f.onnx", opset=17)
    images = np.random.default_rng(0).normal(size=(64, 1, 8, 8)).astype(np.float32)
    with torch.inference_mode():
        logits = model(torch.tensor(images)).numpy()
    path = write(source_of(tmp_path / "f.onnx", images), "int8+fp16", tmp_path / "i.onnx")
    assert compare(logits, literally(path, images)).sqnr_db > 30


def test_a_gemm_of_the_other_order_gets_its_output_channels_first(tmp_path, source_of):
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.randn(4))

        def forward(self, x):
            return torch.matmul(x, self.weight) + self.bias

    torch.manual_seed(0)
    model = Product().eval()
    export_onnx(model, torch.zeros(1, 6), tmp_path / "f.onnx", opset=17)
    images = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
    path = write(source_of(tmp_path / "f.onnx", images), "int8+fp32", tmp_path / "i.onnx")
    (gemm,) = (node for node in onnx.load(path).graph.node if node.op_type == "Gemm")
    assert {given.name: given.i for given in gemm.attribute} == {"transB": 1}
    with torch.inference_mode():
        assert compare(model(torch.tensor(images)).numpy(), literally(path, images)).sqnr_db > 30


def test_what_cannot_be_quantised_is_refused_and_leaves_no_file(trained, tmp_path, source_of):
    class Nothing(nn.Module):
        def forward(self, x):
            return x.flatten(1) * 2

    export_onnx(Nothing(), torch.zeros(1, 1, 2, 2), tmp_path / "n.onnx", opset=17)
    with pytest.raises(UnsupportedModelError, match="no convolution or Gemm"):
        write(source_of(tmp_path / "n.onnx", np.ones((1, 1, 2, 2), np.float32)), "int8+fp32", tmp_path / "i.onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(UnsupportedModelError, match="can't be written"):
        write(source_of(tmp_path / "broken.onnx"), "fp16", tmp_path / "i.onnx")
    with pytest.raises(UnsupportedModelError, match="isn't an ONNX model"):
        source_of(tmp_path / "broken.onnx", trained[2])
    assert not (tmp_path / "i.onnx").exists()
    with pytest.raises(StorageError):
        write(source_of(trained[0], trained[2]), "int8+fp32", tmp_path / "broken.onnx" / "i.onnx")


def test_ranges_that_are_not_finite_are_refused(trained, tmp_path, source_of):
    exported, _, images, _, _ = trained
    with pytest.raises(UnsupportedModelError, match="NaN or infinity"):
        write(source_of(exported, np.full_like(images[:2], np.inf)), "int8+fp32", tmp_path / "i.onnx")


def test_usage_names_the_command_that_builds_the_engine():
    how = Feeding(
        preprocessing=Preprocessing(height=8, width=8, colour="grey", mean=(0.5,), std=(0.5,)), classes=("a", "b")
    )
    port = Port(name="input", dtype="float32", shape=(1, 1, 8, 8), layout="NCHW")
    manifest = Manifest(**dict(how), file="model.onnx", sha256="0" * 64, precision="int8+fp16", runtime="tensorrt",
                        input=port, output=port)  # fmt: skip
    found = usage(manifest)
    assert found.build == (
        "trtexec --onnx=model.onnx --saveEngine=model.engine --noTF32 --stronglyTyped"
        "  # TensorRT 8: --int8 --fp16 instead"
    )
    assert '"model.engine"' in found.model
