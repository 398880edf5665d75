import importlib.util
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import manifest
from edgekd.deploy.variants import deployable
from edgekd.deploy.writers import ncnn as writer
from edgekd.deploy.writers._base import Source
from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.report import usage
from edgekd.runtimes import ncnn as runtime
from edgekd.values import Feeding, Preprocessing, Variant

CLASSES = tuple("abcde")
needs_ncnn = pytest.mark.skipif(importlib.util.find_spec("ncnn") is None, reason="ncnn isn't installed")


class Residual(nn.Module):
    """What ncnn has integer layers for, and what it hasn't: groups of several channels, a sum, a gate."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depthwise = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.ReLU(), nn.Conv2d(16, 16, 1))
        self.grouped = nn.Conv2d(16, 32, 3, 2, 1, groups=4)
        self.head = nn.Sequential(nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, len(CLASSES)))

    def forward(self, x):
        x = self.stem(x)
        return self.head(self.grouped(x + self.depthwise(x)))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Residual().eval()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("ncnn") / "net.onnx"
    export_onnx(network, torch.zeros(1, 3, 12, 12), path)
    return path


@pytest.fixture
def source(exported, source_of):
    return source_of(exported, images(32, 0))


def images(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 3, 12, 12)).astype(np.float32)


@needs_ncnn
def test_each_precision_is_within_its_tolerance_and_smaller_than_fp32(network, source, tmp_path, runner_of):
    tests = images(200, 1)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tests)).numpy()
    kept, sizes = {}, []
    for precision in writer.precisions:
        file = writer.precisions[precision].file or precision
        path = writer.write(source, file, tmp_path / f"net-{file}.onnx")
        runner = runner_of(path, "ncnn")
        found = (runner.artifact.format, runner.artifact.precision, runner.artifact.needs)
        assert found == ("ncnn", file.removesuffix("-partial"), None)
        assert [one.path.suffix for one in runner.artifact.files] == [".param", ".bin"]
        artifact = runner.artifact.model_copy(update={"variant": Variant(runtime="ncnn", precision=precision)})
        parity = compare(expected, replace(runner, artifact=artifact)(tests))
        assert failure(parity, writer.precisions[precision].tolerance) is None, (precision, parity)
        kept[precision] = parity.sqnr_db
        sizes.append(path.with_suffix(".bin").stat().st_size)
    assert kept["fp32"] > 90
    assert 35 < kept["fp16"] < kept["fp32"] - 10
    assert min(kept["int8"], kept["int8+fp16"]) > 25
    assert sizes[0] > max(sizes[1:])


def test_integer_layers_are_those_that_ncnn_computes_right_and_hand_over_integers(source, tmp_path):
    path = writer.write(source, "int8", tmp_path / "net.onnx")
    layers = {layer.name: layer for layer in runtime.layers(str(path))}
    terms = {name: layers[name].integer("8") for name in layers if layers[name].kind in runtime.QUANTISED}
    assert terms == {
        "stem.0.weight": 2,  # the sum reads it too
        "depthwise.0.weight": 101,
        "depthwise.2.weight": 2,
        "grouped.weight": 0,
        "head.3.weight": 2,
    }


def test_a_convolution_whose_sums_would_overflow_is_kept_from_winograds_algorithm(tmp_path, source_of):
    """Of 3×3 weights of one sign, 26 channels are enough: 576 times the sum of all products is beyond 32 bits."""
    model = nn.Sequential(nn.Conv2d(3, 24, 3), nn.ReLU(), nn.Conv2d(24, 28, 3), nn.ReLU(), nn.Conv2d(28, 4, 3)).eval()
    for one in (model[2], model[4]):
        one.weight.data.fill_(0.1)
    export_onnx(nn.Sequential(model, nn.Flatten()), torch.zeros(1, 3, 9, 9), tmp_path / "m.onnx")
    source = source_of(tmp_path / "m.onnx", np.random.default_rng(0).normal(size=(4, 3, 9, 9)).astype(np.float32))
    layers = runtime.layers(str(writer.write(source, "int8", tmp_path / "n.onnx")))
    assert [layer.integer("31") for layer in layers if layer.kind == "Convolution"] == [0, 0, 64]


@needs_ncnn
def test_corrections_of_biases_are_added(source, tmp_path, runner_of):
    known, shift = source.calibrated.ranges, np.arange(5) / 8
    changed = known.model_copy(update={"biases": {"head.3.weight": tuple(shift.tolist())}})
    corrected = replace(source, calibration=replace(source.calibrated, ranges=changed))
    paths = [writer.write(one, "int8", tmp_path / f"{i}.onnx") for i, one in enumerate((source, corrected))]
    before, after = (runner_of(path, "ncnn")(images(4, 3)) for path in paths)
    np.testing.assert_allclose(after - before, np.broadcast_to(shift, before.shape), atol=1e-6)


def test_only_the_chosen_layers_compute_in_integers(source, tmp_path):
    source = replace(source, layers=frozenset({"head.3.weight"}))
    layers = runtime.layers(str(writer.write(source, "int8", tmp_path / "net.onnx")))
    assert [layer.name for layer in layers if layer.integer("8") and layer.kind in runtime.QUANTISED] == [
        "head.3.weight"
    ]


def test_what_cannot_be_converted_leaves_nothing(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2), nn.Flatten(), nn.LazyLinear(2)).eval()
    model(torch.zeros(1, 3, 6, 6))
    export_onnx(model, torch.zeros(1, 3, 6, 6), tmp_path / "m.onnx")
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UnsupportedModelError, match=r"Resize of \S+ can't be converted to ncnn"):
        writer.write(Source(tmp_path / "m.onnx"), "fp32", out / "m.onnx")
    assert list(out.iterdir()) == []


def test_weights_beyond_fp16_are_refused_in_fp16_alone(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2)).eval()
    model[0].weight.data[0] = 1e5
    export_onnx(model, torch.zeros(1, 3, 6, 6), tmp_path / "m.onnx")
    writer.write(Source(tmp_path / "m.onnx"), "fp32", tmp_path / "m32.onnx")
    with pytest.raises(UnsupportedModelError, match=r"0\.weight: its weights are beyond the range of fp16"):
        writer.write(Source(tmp_path / "m.onnx"), "fp16", tmp_path / "m16.onnx")


def test_a_folder_that_is_not_there_is_a_storage_error(exported, tmp_path):
    with pytest.raises(StorageError):
        writer.write(Source(exported), "fp32", tmp_path / "none" / "m.onnx")


def test_where_it_is_not_installed_its_variants_are_left_out_with_the_reason(monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'ncnn'", name="ncnn")

    monkeypatch.setattr(runtime, "describe", missing)
    found = deployable(catalog.target("raspberry-pi-5"))
    assert "ncnn" not in {variant.runtime for variant in found.variants}
    left_out = {gone.name: gone.why for gone in found.left_out}
    assert left_out["ncnn-fp32"] == left_out["ncnn-int8"] == "ncnn is not installed: pip install 'edgekd[ncnn]'"


@needs_ncnn
@pytest.mark.parametrize("precision", ["fp32", "int8+fp16"])
def test_the_lines_of_the_report_give_the_networks_logits(network, source, tmp_path, runner_of, precision):
    file = writer.precisions[precision].file or precision
    path = writer.write(source, file, tmp_path / "model.onnx")
    variant = Variant(runtime="ncnn", precision=precision, settings={"threads": 2})
    artifact = runner_of(path, "ncnn").artifact.model_copy(update={"variant": variant})
    how = Preprocessing(height=12, width=12, mean=(0.0,) * 3, std=(1.0,) * 3, colour=None)
    found = manifest(artifact, path, Feeding(preprocessing=how, classes=CLASSES))
    assert (found.file, found.input.shape, found.output.shape) == ("model.param", (1, 3, 12, 12), (1, len(CLASSES)))
    (tmp_path / "model.json").write_text(found.model_dump_json())
    np.save(tmp_path / "values.npy", images(1, 2).astype("float64"))
    ran = subprocess.run(
        [sys.executable, "-c", f"{usage.lines(found)}\nprint(logits.tolist())"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    named, logits = ran.stdout.splitlines()
    with torch.inference_mode():
        expected = network(torch.from_numpy(images(1, 2))).numpy()
    assert compare(expected, np.array([eval(logits)], np.float32)).sqnr_db > (90 if precision == "fp32" else 25)
    assert named == CLASSES[int(np.argmax(eval(logits)))]
