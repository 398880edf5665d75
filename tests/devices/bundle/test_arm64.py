"""The bundle for arm64 really runs: under qemu-user, in a root that has nothing but it."""

import numpy as np
import onnxruntime
import pytest
import torch
from bundles import ONNXRUNTIME, arm64_python, here
from torch import nn

from edgekd import catalog
from edgekd.deploy.check import compare
from edgekd.deploy.mobile.convert import convert
from edgekd.deploy.writers import ncnn
from edgekd.deploy.writers.onnxruntime import write
from edgekd.devices.device import connect
from edgekd.errors import MeasurementError
from edgekd.measuring.artifact import describe, describe_ort
from edgekd.measuring.disturbance import EMULATED
from edgekd.pipeline.doctor import doctor
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS
from edgekd.values import MeasuringProtocol

pytestmark = pytest.mark.slow  # an emulated Python takes seconds to import numpy

TARGET = catalog.target("x86-cpu").model_copy(update={"name": "arm", "arch": "aarch64"})


@pytest.fixture
def url(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_LEASE", str(tmp_path / "lease"))  # which the root shows
    return f"local:{arm64_python(tmp_path, [here(), tmp_path])}"


def test_outputs_are_those_of_x86_and_facts_those_of_arm(url, model):
    path = model(layers=3, batch=1)
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype("float32")
    session = onnxruntime.InferenceSession(path)
    expected = [session.run(None, {"image": image[None]})[0][0] for image in images]
    with connect(url, TARGET) as device:
        (outputs,) = device.evaluate(describe(path, name="m", runtime="onnxruntime"), [images])
        host, runtime = device.facts.host, device.facts.runtimes["onnxruntime"]
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-6)
    assert (host.arch, host.os, host.emulated, host.cpu, host.cpu_features) == (
        "aarch64",
        "linux",
        True,
        "emulated",
        (),
    )
    assert runtime.version == ONNXRUNTIME


@pytest.mark.parametrize("precision", ncnn.precisions)
def test_ncnn_gives_there_what_the_onnx_file_gives_on_x86(url, tmp_path, source_of, precision):
    """With 3×3 convolutions, wide and narrow, and depthwise ones, by Arm's own kernels."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU6(), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.SiLU(),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 12, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    ).eval()  # fmt: skip
    torch.onnx.export(model, (torch.zeros(1, 3, 18, 14),), str(tmp_path / "m.onnx"), dynamo=False)
    random = np.random.default_rng(0)
    images, calibration = (random.standard_normal((n, 3, 18, 14)).astype("float32") for n in (8, 16))
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: image[None]})[0] for image in images])
    stated = ncnn.precisions[precision]
    source = source_of(tmp_path / "m.onnx", calibration)
    path = ncnn.write(source, stated.file or precision, tmp_path / "ncnn.onnx")
    artifact = describe(path, name="m", runtime="ncnn", precision=precision)
    with connect(url, TARGET.model_copy(update={"variants": (artifact.variant,)})) as device:
        (outputs,) = device.evaluate(artifact, [images])
    least = {"fp32": 90, "fp16": 45}.get(precision, 25)
    assert compare(expected, outputs).sqnr_db > least


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_file_for_an_app_gives_there_what_the_onnx_file_gives_on_x86(url, model, tmp_path, source_of, precision):
    """Converted by a newer ONNX Runtime than that which reads it."""
    random, folder = np.random.default_rng(0), tmp_path / "app"
    images = random.standard_normal((4, 3, 8, 8)).astype("float32")
    calibration = random.standard_normal((16, 3, 8, 8)).astype("float32")
    path = write(source_of(model(layers=3, batch=1), calibration), precision, tmp_path / "int8.onnx")
    folder.mkdir()
    exact = onnxruntime.SessionOptions()
    exact.add_session_config_entry(*EXACT_INTEGERS)
    session = onnxruntime.InferenceSession(path, exact)
    expected = np.stack([session.run(None, {"image": image[None]})[0][0] for image in images])
    artifact = describe_ort(convert(path, folder).ort, describe(path, name="m", runtime="onnxruntime"))
    with connect(url, TARGET) as device:
        (outputs,) = device.evaluate(artifact, [images])
    noise = np.mean((outputs - expected) ** 2) / np.mean(expected**2)
    assert -10 * np.log10(noise + 1e-20) > 50


def test_its_times_are_invalid(url, model):
    once = MeasuringProtocol(launches=1, seconds=0.05, block_seconds=0.02, warmup_seconds=0.05)
    (found,) = profile([model(batch=1)], target=TARGET, device_url=url, protocol=once, progress=Silent())
    assert EMULATED in found.invalid
    assert found.host.emulated


def test_doctor_reports_it_and_compares_no_times(url):
    found = doctor(url, noise=False, progress=Silent())
    assert any(remark.startswith(EMULATED) for remark in found.remarks)
    runtime = found.runtimes["onnxruntime"]
    assert (runtime.version, runtime.origin) == (ONNXRUNTIME, "Linux/arm64 build")
    with pytest.raises(MeasurementError, match="emulated"):
        doctor(url, noise=True, progress=Silent())
