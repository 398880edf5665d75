"""Engines that a device builds for a host that it loses, over ssh. Its TensorRT is a fake: see fake_tensorrt."""

import shutil
import subprocess
import sys
from pathlib import Path

import fake_tensorrt
import numpy as np
import pytest
from sshd import Cutting, assert_nothing_left, serving
from test_tensorrt import IMAGE, expected, network

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.errors import ExitCode, MeasurementError
from edgekd.measuring.artifact import describe

JETSON = catalog.target("jetson")


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """A server, and the URLs of a device whose builds take a minute, and of the same one where they take no time."""
    if fake_tensorrt.COMPILER is None:
        pytest.skip("no C compiler: there is no fake CUDA runtime")
    folder = tmp_path_factory.mktemp("jetson")
    with serving(folder / "sshd") as server:
        python = str(server.python)
        slow = fake_tensorrt.device_python(folder / "slow", python=python, FAKE_TENSORRT_BUILD_S="60")
        quick = fake_tensorrt.device_python(folder / "quick", python=python)
        yield server, f"ssh://device{slow}", f"ssh://device{quick}"


def engines(server):
    """All files below the device's folder of engines, but the cache of timings."""
    return [file for file in (server.cache / "engines").rglob("*") if file.is_file() and "timing-" not in file.name]


@pytest.fixture
def cutting(device):
    """Cuts the connection as soon as a build has begun."""
    server = device[0]
    shutil.rmtree(server.cache / "engines", ignore_errors=True)
    return Cutting(server, lambda: any((server.cache / "engines").glob("*")))


def test_a_connection_that_breaks_in_the_middle_of_a_build(device, cutting, tmp_path):
    server, slow, quick = device
    path = network(tmp_path / "net.onnx")
    artifact = describe(path, name="net", runtime="tensorrt")
    with connect(slow, JETSON) as found, cutting, pytest.raises(MeasurementError) as e:
        found.build(artifact)
    assert e.value.exit_code == ExitCode.INVALID
    assert f"net.onnx: tensorrt failed to build it: the connection to {slow} was lost" in e.value.message
    assert "try again" in e.value.hint
    assert_nothing_left(server)
    assert not engines(server)
    with connect(quick, JETSON) as found:
        assert found.holder() is None
        engine = Path(found.build(artifact).path)
        assert {*engines(server)} == {engine, *(engine.with_suffix(suffix) for suffix in (".json", ".used"))}
        (outputs,) = found.evaluate(artifact, [IMAGE])
        np.testing.assert_allclose(outputs, expected(path), rtol=1e-5, atol=1e-6)


def test_a_command_whose_device_is_lost_as_it_builds(device, cutting, tmp_path):
    server, slow, _ = device
    path = network(tmp_path / "net.onnx")
    jetson = (catalog.folder("targets") / "jetson-orin-nano.toml").read_text().replace('"aarch64"', '"x86_64"')
    target = tmp_path / "target.toml"
    target.write_text("\n".join(line for line in jetson.splitlines() if not line.startswith(("marker", "compatible"))))
    line = [sys.executable, "-m", "edgekd", "profile", path, "--target", target, "--device", slow]
    with cutting:
        ended = subprocess.run(line, capture_output=True, text=True)
    assert ended.returncode == ExitCode.INVALID, ended.stderr
    assert f"the connection to {slow} was lost" in ended.stderr.replace("\n", "")
    assert "Traceback" not in ended.stderr
    assert_nothing_left(server)
    assert not engines(server)
