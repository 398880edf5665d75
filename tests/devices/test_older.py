"""A real older ONNX Runtime on the device: what edgekd says that it reads is what it opens."""

import subprocess
import sys

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.devices.device import connect
from edgekd.devices.reading import reads, unread
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe

pytestmark = pytest.mark.slow

VERSION = "1.19.2"


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """This Python with that version."""
    folder = tmp_path_factory.mktemp("older")
    line = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder / "packages"]
    installed = subprocess.run([*line, f"onnxruntime=={VERSION}"], capture_output=True, text=True, check=False)
    if installed.returncode:
        pytest.skip(f"pip has no onnxruntime {VERSION} for this Python, or no network: {installed.stderr[-200:]}")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={folder / "packages"} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    with connect(f"local:{python}") as device:
        assert device.facts.runtimes["onnxruntime"].version == VERSION != onnxruntime.__version__
        yield device


@pytest.mark.parametrize(("newer_opset", "newer_ir"), [(0, 0), (1, 0), (0, 1)])
def test_it_refuses_what_edgekd_refuses_before_it_and_opens_the_rest(device, tmp_path, newer_opset, newer_ir):
    row = reads("onnxruntime", VERSION)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    opsets = [helper.make_opsetid("", row["opset"] + newer_opset)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=row["ir_version"] + newer_ir)
    onnx.save(model, tmp_path / "m.onnx")
    artifact = describe(tmp_path / "m.onnx", name="m", runtime="onnxruntime")
    ones = [onnx.numpy_helper.to_array(helper.make_tensor("x", TensorProto.FLOAT, [1, 1], [-1.0]))]
    if not (newer_opset or newer_ir):
        assert [found.tolist() for found in device.evaluate(artifact, ones)] == [[[0.0]]]
        return
    assert unread(artifact, VERSION) is not None
    with pytest.raises(UnsupportedModelError, match="does not read it"):
        list(device.evaluate(artifact, ones))
    unknown = artifact.model_copy(update={"needs": None})
    with pytest.raises(UnsupportedModelError, match=r"onnxruntime can't run it: .*(opset|IR version)"):
        list(device.evaluate(unknown, ones))
