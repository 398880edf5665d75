import importlib.util
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.deploy.check import compare, failure
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import manifest
from edgekd.deploy.variants import deployable, notes
from edgekd.deploy.writers import openvino as writer
from edgekd.deploy.writers._base import Source
from edgekd.measuring.artifact import describe
from edgekd.report import usage
from edgekd.runtimes import openvino as runtime
from edgekd.values import DeviceFacts, DeviceRuntime, Feeding, Host, Preprocessing, Variant

needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino isn't installed")
needs_nncf = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf isn't installed")
X86 = catalog.target("x86-cpu")
OURS = [variant for variant in X86.variants if variant.runtime == "openvino"]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("openvino") / "net.onnx"
    export_onnx(network, torch.zeros(1, 1, 12, 12), path, opset=17)
    return path


def images(number, seed):
    return np.random.default_rng(seed).normal(size=(number, 1, 12, 12)).astype(np.float32)


def test_the_exported_file_serves_in_all_floating_point_precisions(tmp_path):
    exported = tmp_path / "net.onnx"
    floats = [name for name, precision in writer.precisions.items() if not precision.integers]
    assert floats == ["fp32", "bf16", "fp16"]
    assert {writer.write(Source(exported), name, tmp_path / "own.onnx") for name in floats} == {exported}


def test_where_it_is_not_installed_its_variants_are_left_out_with_the_reason(monkeypatch):
    def missing():
        raise ModuleNotFoundError("No module named 'openvino'", name="openvino")

    monkeypatch.setattr(runtime, "describe", missing)
    found = deployable(X86)
    assert {variant.runtime for variant in found.variants} == {"onnxruntime"}
    assert {gone.name for gone in found.left_out} == {variant.name for variant in OURS}
    assert {gone.why for gone in found.left_out} <= {NO_OPENVINO, NO_NNCF}


NO_OPENVINO = "openvino is not installed: pip install 'edgekd[openvino]'"
NO_NNCF = "nncf isn't installed: pip install 'edgekd[openvino]'"


@needs_openvino
def test_without_nncf_only_what_it_writes_is_left_out_and_the_extra_is_named_once(monkeypatch):
    monkeypatch.setattr(runtime, "capabilities", lambda: {"precisions": tuple(writer.precisions)})
    monkeypatch.setitem(sys.modules, "nncf", None)
    found = deployable(X86)
    assert notes(found.left_out) == [f"openvino-int8, openvino-int8+bf16 are left out: {NO_NNCF}"]
    assert [variant for variant in X86.variants if variant not in found.variants] == OURS[2:4]
    # what installs OpenVINO on a device that lacks it too is no remedy for what this machine lacks
    without = facts(()).model_copy(update={"runtimes": {}, "unavailable": {"openvino": "not installed"}})
    there = {gone.name: gone.why for gone in deployable(X86, without, lambda name: f"pip install {name}").left_out}
    assert there["openvino-int8"] == NO_NNCF
    assert there["openvino-fp32"].endswith("; install it there: pip install openvino")


@needs_openvino
def test_where_the_cpu_has_no_bf16_the_variants_with_it_are_left_out_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(runtime, "_library", lambda: SimpleNamespace(Core=lambda: CPU("FP32", "INT8"), __version__="1"))
    precisions = runtime.capabilities()["precisions"]
    here, there = deployable(X86), deployable(X86, facts(precisions))
    assert {v.precision for v in here.variants if v.runtime == "openvino"} - {"int8"} == {"fp32", "int8-u8s8"}
    assert here.variants == there.variants
    why = {gone.name: gone.why for gone in here.left_out}["openvino-bf16"]
    assert why == "openvino has no bf16 on this machine, only fp32, int8, int8-u8s8"


class CPU:
    def __init__(self, *capabilities):
        self._capabilities = list(capabilities)

    def get_property(self, device, name):
        assert (device, name) == ("CPU", "OPTIMIZATION_CAPABILITIES")
        return self._capabilities


def facts(precisions):
    host = Host(machine="m", arch="x86_64", os="linux", cpu="c", cores=1, python="3.12")
    ort = DeviceRuntime(version="1.32.0", provider="CPU")
    return DeviceFacts(host=host, runtimes={
        "onnxruntime": ort, "openvino": DeviceRuntime(version="2026.4.1", provider="CPU", precisions=precisions),
    })  # fmt: skip


@needs_openvino
@needs_nncf
def test_each_precision_is_within_its_tolerance_and_no_finer_than_it_says(network, exported, tmp_path, source_of,
                                                                          runner_of):  # fmt: skip
    source, tested = source_of(exported, images(64, 0)), images(200, 1)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tested)).numpy()
    has, kept = runtime.capabilities()["precisions"], {}
    for name, precision in writer.precisions.items():
        path = writer.write(source, precision.file or name, tmp_path / f"{precision.file or name}.onnx")
        if name not in has:
            continue
        runner = runner_of(path, "openvino")
        variant = Variant(runtime="openvino", precision=name)
        parity = compare(
            expected, replace(runner, artifact=runner.artifact.model_copy(update={"variant": variant}))(tested)
        )
        assert failure(parity, precision.tolerance) is None
        kept[name] = parity.sqnr_db
    assert kept["fp32"] > 90
    assert 20 < kept["int8"] < 60
    assert 20 < kept["int8-u8s8"] < 60
    if "bf16" in has:
        assert writer.precisions["bf16"].tolerance.sqnr_db < kept["bf16"] < 60


@needs_openvino
@needs_nncf
@pytest.mark.parametrize("precision", ["int8", "int8-u8s8"])
def test_all_layers_compute_in_integers(exported, tmp_path, source_of, precision):
    path = writer.write(source_of(exported, images(16, 0)), precision, tmp_path / "int8.onnx")
    session = runtime.open(str(path), precision=precision, trace_in=str(tmp_path))
    for _ in range(2):
        session.run({"input": images(1, 1)})
    products = [node["precision"] for node in session.nodes(1) if node["kind"] == "product"]
    assert products == ["int8"] * 3


def test_precisions_that_share_a_file_are_artifacts_of_their_own(exported):
    variants = [Variant(runtime="openvino", precision=precision) for precision in ("int8", "int8+bf16")]
    one = describe(exported, name="net", runtime="openvino")
    ids = [one.model_copy(update={"variant": variant}).id for variant in variants]
    assert len(set(ids)) == 2


@needs_openvino
@needs_nncf
def test_the_lines_of_the_report_open_the_file_in_its_precision(exported, tmp_path, source_of):
    has = runtime.capabilities()["precisions"]
    how = Preprocessing(height=12, width=12, colour=None, mean=(0.5,), std=(0.5,))
    feeding = Feeding(preprocessing=how, classes=tuple("abcdefghij"))
    writer.write(source_of(exported, images(16, 0)), "int8", tmp_path / "model.onnx")
    np.save(tmp_path / "values.npy", images(1, 1))
    for precision in ("int8", "int8+bf16"):
        if precision in has:
            found = manifest(describe(tmp_path / "model.onnx", name="m", runtime="openvino", precision=precision),
                             tmp_path / "model.onnx", feeding)  # fmt: skip
            (tmp_path / "model.json").write_text(found.model_dump_json())
            script = f"{usage.lines(found)}\nprint(logits.tolist())"
            ran = subprocess.run(
                [sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True
            )
            *_, named, logits = ran.stdout.splitlines()
            assert named == feeding.classes[int(np.argmax(eval(logits)))]
            session = runtime.open(str(tmp_path / "model.onnx"), precision=precision)
            np.testing.assert_allclose(eval(logits), session.run({"input": images(1, 1)})[0][0], atol=1e-6)
