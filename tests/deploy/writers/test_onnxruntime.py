from collections import Counter
from contextlib import nullcontext

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.writers._base import Source
from edgekd.deploy.writers.onnxruntime import precisions, write
from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS


@pytest.fixture(scope="module")
def fp32(tmp_path_factory):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4),
    ).eval()  # fmt: skip
    path = tmp_path_factory.mktemp("q") / "m.onnx"
    export_onnx(model, torch.zeros(1, 1, 12, 12), path)
    return path


def images(n, seed):
    return np.random.default_rng(seed).normal(size=(n, 1, 12, 12)).astype(np.float32)


def test_int8_is_u8s8_per_channel_and_close_to_fp32(fp32, tmp_path, runner_of, source_of):
    write(source_of(fp32, images(64, 0)), "int8", tmp_path / "i.onnx")
    graph = onnx.load(tmp_path / "i.onnx").graph
    held = {i.name: i for i in graph.initializer}
    zero_points = [held[n.input[2]] for n in graph.node if n.op_type == "QuantizeLinear"]
    assert zero_points
    assert {z.data_type for z in zero_points} == {onnx.TensorProto.UINT8}
    weights = [held[n.input[0]] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] in held]
    conv = next(w for w in weights if tuple(w.dims) == (16, 1, 3, 3))
    assert conv.data_type == onnx.TensorProto.INT8
    scales = next(held[n.input[1]] for n in graph.node if n.op_type == "DequantizeLinear" and n.input[0] == conv.name)
    assert tuple(scales.dims) == (16,)
    test = images(200, 1)
    parity = compare(runner_of(fp32, "onnxruntime")(test), runner_of(tmp_path / "i.onnx", "onnxruntime")(test))
    assert failure(parity, precisions["int8"].tolerance) is None


def test_fp32_is_the_exported_file_itself(tmp_path):
    assert write(Source(tmp_path / "m.onnx"), "fp32", tmp_path / "own.onnx") == tmp_path / "m.onnx"


def test_the_calibration_images_decide_the_ranges(fp32, tmp_path, source_of):
    write(source_of(fp32, images(16, 0)), "int8", tmp_path / "a.onnx")
    write(source_of(fp32, 10 * images(16, 0)), "int8", tmp_path / "b.onnx")
    scale = [
        max(float(onnx.numpy_helper.to_array(i).max()) for i in onnx.load(tmp_path / f).graph.initializer
            if i.name.startswith("input") and "scale" in i.name)
        for f in ("a.onnx", "b.onnx")
    ]  # fmt: skip
    assert scale[1] == pytest.approx(10 * scale[0], rel=1e-3)


def test_a_file_where_its_folder_should_be_is_a_storage_error(fp32, tmp_path, source_of):
    (tmp_path / "none").write_text("")
    with pytest.raises(StorageError):
        write(source_of(fp32, images(4, 0)), "int8", tmp_path / "none" / "i.onnx")


def test_a_transposed_convolution_which_has_no_integer_kernel_stays_float(tmp_path, runner_of, source_of):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 32, 2, 2, groups=2), nn.ConvTranspose2d(32, 8, 1),
        nn.Conv2d(8, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    ).eval()  # fmt: skip
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    write(source_of(tmp_path / "f.onnx", images(16, 0)), "int8", tmp_path / "i.onnx")
    assert kernels(tmp_path / "i.onnx") >= Counter(QLinearConv=2, ConvTranspose=2, QLinearGlobalAveragePool=1, QGemm=1)
    test = images(100, 1)
    given = runner_of(tmp_path / "i.onnx", "onnxruntime")(test)
    expected = runner_of(tmp_path / "f.onnx", "onnxruntime")(test)
    assert failure(compare(expected, given), precisions["int8"].tolerance) is None


def kernels(path):
    """How many of each operator ONNX Runtime runs for a file."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".optimised"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(path.with_suffix(".optimised")).graph.node)


class Zoo(nn.Module):
    """What networks are made of: a residual, depthwise layers, a gate, pools, a concatenation, activations."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
        self.deep = nn.Sequential(
            nn.Conv2d(16, 32, 1),
            nn.ReLU6(),
            nn.Conv2d(32, 32, 3, padding=1, groups=32),
            nn.ReLU6(),
            nn.Conv2d(32, 16, 1),
        )
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 16, 1), nn.Sigmoid()
        )
        self.left, self.right = nn.Sequential(nn.Conv2d(16, 8, 1), nn.SiLU()), nn.Conv2d(16, 8, 3, padding=1)
        self.last = nn.Sequential(
            nn.AvgPool2d(2), nn.Conv2d(16, 24, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 12),
            nn.ReLU(), nn.Linear(12, 5),
        )  # fmt: skip

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(x + self.deep(x))
        x = x * self.gate(x)
        return self.last(torch.cat([self.left(x), self.right(x)], 1))


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    torch.manual_seed(0)
    model, path = Zoo(), tmp_path_factory.mktemp("zoo") / "z.onnx"
    pictures = np.random.default_rng(1).normal(size=(32, 3, 16, 16)).astype(np.float32)
    model(torch.tensor(pictures))
    export_onnx(model.eval(), torch.zeros(1, 3, 16, 16), path)
    return path, pictures


@pytest.mark.parametrize("precision", ["int8", "int8-s8s8"])
def test_what_has_an_integer_kernel_runs_in_it(zoo, tmp_path, source_of, precision, runner_of):
    path, pictures = zoo
    write(source_of(path, pictures), precision, tmp_path / "i.onnx")
    parity = compare(runner_of(path, "onnxruntime")(pictures), runner_of(tmp_path / "i.onnx", "onnxruntime")(pictures))
    assert parity.sqnr_db > 25
    model = onnx.load(tmp_path / "i.onnx")
    onnx.checker.check_model(model, full_check=True)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    kinds = {held[node.input[2]].data_type for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert kinds == {onnx.TensorProto.UINT8 if precision == "int8" else onnx.TensorProto.INT8}
    if precision == "int8":
        found = kernels(tmp_path / "i.onnx")
        expected = Counter(QLinearConv=9, QGemm=2, QLinearAdd=1, QLinearMul=2, QLinearSigmoid=2, QLinearAveragePool=1)
        expected += Counter(QLinearGlobalAveragePool=2, QLinearConcat=1, QuantizeLinear=1)
        assert {name: found[name] for name in expected} == expected
        assert not {"Conv", "FusedConv", "Relu", "Clip", "MaxPool", "DequantizeLinear"} & {*found}


@pytest.mark.parametrize("opset", [17, 18])
@pytest.mark.parametrize("precision", ["int8", "int8-s8s8"])
def test_hard_activations_are_integer_additions_that_saturate(tmp_path, source_of, precision, opset):
    class Gated(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 8)
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())

        def forward(self, x):
            x = nn.functional.hardswish(self.second(nn.functional.hardswish(10 * self.first(x))))
            return self.last(x * self.gate(x)).flatten(1)

    torch.manual_seed(0)
    model, pictures = Gated().eval(), images(64, 0)
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx", opset=opset)
    write(source_of(tmp_path / "f.onnx", pictures), precision, tmp_path / "i.onnx")
    with torch.inference_mode():
        logits = model(torch.tensor(pictures)).numpy()
    for level in ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        options.add_session_config_entry(*EXACT_INTEGERS)
        session = onnxruntime.InferenceSession(tmp_path / "i.onnx", options, providers=["CPUExecutionProvider"])
        given = np.concatenate([session.run(None, {"input": picture[None]})[0] for picture in pictures])
        assert compare(logits, given).sqnr_db > 30
    if precision == "int8":
        found = kernels(tmp_path / "i.onnx")
        assert (found["QLinearConv"], found["QLinearAdd"], found["QLinearMul"]) == (4, 3, 3)
        assert not found["DequantizeLinear"] + found["HardSigmoid"] - 1  # that of the output


@pytest.mark.parametrize("bounds", [(-1, 1), (0, 0.5), (0.1, 2)])
def test_a_clip_with_any_bounds_is_kept(tmp_path, source_of, runner_of, bounds):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Hardtanh(*bounds), nn.Conv2d(8, 4, 10), nn.Flatten()).eval()
    test = images(30, 1)
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    write(source_of(tmp_path / "f.onnx", test), "int8", tmp_path / "i.onnx")
    parity = compare(*(runner_of(tmp_path / name, "onnxruntime")(test) for name in ("f.onnx", "i.onnx")))
    assert parity.sqnr_db > 30
    assert kernels(tmp_path / "i.onnx")["Clip"] == (bounds[0] != 0)


def test_only_the_named_layers_compute_in_integers(zoo, tmp_path, source_of):
    path, pictures = zoo
    layers = frozenset({"deep.0.weight", "deep.2.weight", "last.5.weight"})
    write(source_of(path, pictures, layers=layers), "int8-partial", tmp_path / "i.onnx")
    found = kernels(tmp_path / "i.onnx")
    expected = {"QLinearConv": 2, "QGemm": 1, "QLinearAdd": 0, "QLinearMul": 0}
    assert {name: found[name] for name in expected} == expected
    with pytest.raises(UnsupportedModelError, match="no layer"):
        write(source_of(path, pictures, layers=frozenset()), "int8-partial", tmp_path / "none.onnx")
    assert not (tmp_path / "none.onnx").exists()


@pytest.mark.parametrize("kind", ["plain", "depthwise", "linear"])
def test_a_layer_between_integer_layers_stays_in_floats(kind, tmp_path, source_of):
    """ONNX Runtime rounds float weights behind a DequantizeLinear with a single scale by itself, if nothing prevents
    it, with one scale for all of them: channels of small weights are lost.
    """
    torch.manual_seed(0)
    middle = nn.Linear(144, 144) if kind == "linear" else nn.Conv2d(16, 16, 3, groups=16 if kind == "depthwise" else 1)
    with torch.no_grad():
        middle.weight[::2] /= 1000
    first, last = nn.Conv2d(1, 16, 3, stride=4), nn.Linear(144 if kind == "linear" else 16, 4)
    inner = [nn.Flatten(), middle] if kind == "linear" else [middle, nn.ReLU(), nn.Flatten()]
    model = nn.Sequential(first, nn.ReLU(), *inner, nn.ReLU(), last).eval()
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "m.onnx")
    name = next(name for name, one in model.named_modules() if one is middle)
    layers = frozenset(each for each, one in model.named_parameters() if one.ndim > 1) - {f"{name}.weight"}
    write(source_of(tmp_path / "m.onnx", images(32, 0), layers=layers), "int8", tmp_path / "i.onnx")
    found = kernels(tmp_path / "i.onnx")
    integers, floats = sum(found[op] for op in ("QLinearConv", "QGemm")), {"Conv", "FusedConv", "Gemm", "FusedGemm"}
    assert integers == 2
    assert sum(found[op] for op in floats) == 1


def test_a_bias_of_a_layer_with_tiny_weights_fits_its_integers(tmp_path, source_of, runner_of):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(4 * 64, 3)).eval()
    with torch.no_grad():
        model[0].weight[::2] *= 1e-12
        model[0].bias[::2] = 3.0
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    write(source_of(tmp_path / "f.onnx", images(16, 0)), "int8", tmp_path / "i.onnx")
    test = images(50, 1)
    parity = compare(*(runner_of(tmp_path / name, "onnxruntime")(test) for name in ("f.onnx", "i.onnx")))
    assert parity.sqnr_db > 30


def test_an_output_of_a_convolution_keeps_its_name(tmp_path, source_of, runner_of):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 12 - 2)).eval()
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    write(source_of(tmp_path / "f.onnx", images(16, 0)), "int8", tmp_path / "i.onnx")
    assert kernels(tmp_path / "i.onnx")["QLinearConv"] == 2
    assert [output.name for output in onnx.load(tmp_path / "i.onnx").graph.output] == ["logits"]
    onnx.checker.check_model(str(tmp_path / "i.onnx"), full_check=True)


def test_int8_takes_an_opset_with_a_scale_for_each_channel(tmp_path, source_of):
    path = tmp_path / "old.onnx"
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for opset, refused in ((12, True), (13, False)):
        export_onnx(model, torch.zeros(1, 1, 12, 12), path, opset=opset)
        says = r"INT8 takes opset 13, .* the runtime reads no more than opset 12"
        with pytest.raises(UnsupportedModelError, match=says) if refused else nullcontext():
            write(source_of(path, images(4, 0)), "int8", tmp_path / "own.onnx")
        assert (tmp_path / "own.onnx").exists() is not refused


def test_a_graph_for_blocked_kernels_is_a_file_of_its_own_or_there_is_none(fp32, tmp_path, runner_of):
    with pytest.raises(UnsupportedModelError, match="nothing to rewrite"):
        write(Source(fp32), "fp32-blocked", tmp_path / "b.onnx")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 24, 3), nn.Conv2d(24, 24, 3, groups=3), nn.Conv2d(24, 4, 1), nn.Flatten()).eval()
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    assert write(Source(tmp_path / "f.onnx"), "fp32-blocked", tmp_path / "b.onnx") == tmp_path / "b.onnx"
    before, after = (runner_of(tmp_path / name, "onnxruntime")(images(8, 1)) for name in ("f.onnx", "b.onnx"))
    assert failure(compare(before, after), precisions["fp32-blocked"].tolerance) is None
    assert (tmp_path / "b.onnx").read_bytes() != (tmp_path / "f.onnx").read_bytes()
