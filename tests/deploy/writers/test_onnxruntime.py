from contextlib import nullcontext

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.writers._base import Source
from edgekd.deploy.writers.onnxruntime import precisions, write
from edgekd.errors import StorageError, UnsupportedModelError


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


def test_a_folder_that_is_not_there_is_a_storage_error(fp32, tmp_path, source_of):
    with pytest.raises(StorageError):
        write(source_of(fp32, images(4, 0)), "int8", tmp_path / "none" / "i.onnx")


def test_a_grouped_transposed_convolution_with_bias_stays_float_and_the_rest_is_int8(tmp_path, runner_of, source_of):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, 1), nn.ReLU(), nn.ConvTranspose2d(32, 32, 2, 2, groups=2), nn.ConvTranspose2d(32, 8, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4),
    ).eval()  # fmt: skip
    export_onnx(model, torch.zeros(1, 1, 12, 12), tmp_path / "f.onnx")
    write(source_of(tmp_path / "f.onnx", images(16, 0)), "int8", tmp_path / "i.onnx")
    graph = onnx.load(tmp_path / "i.onnx").graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    weights = [(node.op_type, made_by.get(node.input[1])) for node in graph.node if "Conv" in node.op_type]
    quantised = "DequantizeLinear"
    assert weights == [("Conv", quantised), ("ConvTranspose", None), ("ConvTranspose", quantised)]
    test = images(100, 1)
    given = runner_of(tmp_path / "i.onnx", "onnxruntime")(test)
    assert (
        failure(compare(runner_of(tmp_path / "f.onnx", "onnxruntime")(test), given), precisions["int8"].tolerance)
        is None
    )


def test_weights_that_are_not_finite_are_reported_and_leave_no_file(fp32, tmp_path, source_of):
    model = onnx.load(fp32)
    for held in model.graph.initializer:
        values = onnx.numpy_helper.to_array(held)
        if values.ndim == 4:
            held.CopyFrom(onnx.numpy_helper.from_array(np.full_like(values, np.nan), held.name))
    onnx.save(model, tmp_path / "nan.onnx")
    with pytest.raises(UnsupportedModelError, match="is NaN or infinity on calibration images"):
        write(source_of(tmp_path / "nan.onnx", images(4, 0)), "int8", tmp_path / "i.onnx")
    assert not (tmp_path / "i.onnx").exists()


def test_int8_takes_an_opset_with_a_scale_for_each_channel(tmp_path, source_of):
    path = tmp_path / "old.onnx"
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for opset, refused in ((12, True), (13, False)):
        export_onnx(model, torch.zeros(1, 1, 12, 12), path, opset=opset)
        says = r"INT8 takes opset 13, .* the runtime reads no more than opset 12"
        with pytest.raises(UnsupportedModelError, match=says) if refused else nullcontext():
            write(source_of(path, images(4, 0)), "int8", tmp_path / "own.onnx")
        assert (tmp_path / "own.onnx").exists() is not refused
