import platform
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.devices.connect import connect, connect_target, is_of_target
from edgekd.errors import DeviceError, EdgekdError, ExitCode, NoDeviceError
from edgekd.measuring.artifact import describe
from edgekd.values import Target, Variant


def target(**changes):
    variants = tuple(Variant(runtime=runtime, precision="fp32") for runtime in ("tensorrt", "onnxruntime"))
    here = {"arch": platform.machine(), "os": "linux", "reference": variants[0], "variants": variants}
    return Target(name="t", title="Some Board", **here | changes)


def test_local_is_this_python_or_the_one_given():
    assert connect("local:").python == sys.executable
    assert connect("local:/usr/bin/python3").python == "/usr/bin/python3"
    assert connect("local:/usr/bin/python3").url == "local:/usr/bin/python3"


@pytest.mark.parametrize("url", ["telepathy://me", "jetson", "", ":x"])
def test_an_unknown_transport_is_told_with_the_known_ones(url):
    with pytest.raises(EdgekdError) as e:
        connect(url)
    assert e.value.exit_code == ExitCode.USAGE
    assert "local" in e.value.hint


def test_files_are_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.onnx").touch()
    assert Path(connect("local:").put(Path("a.onnx"))) == (tmp_path / "a.onnx").resolve()


def test_a_python_that_is_not_there_or_lacks_the_runtime_is_told(tmp_path):
    with pytest.raises(DeviceError, match="/no/such/python"):
        connect("local:/no/such/python").start("onnxruntime")
    bare = tmp_path / "python"
    # -S leaves out the installed packages, -E what the environment adds
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DeviceError, match="No module named 'onnxruntime'") as e:
        connect(f"local:{bare}").start("onnxruntime")
    assert f"{bare} -m pip install onnxruntime" in e.value.hint
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho no agent here >&2\nexit 3\n")
    silent.chmod(0o755)
    with pytest.raises(DeviceError, match="no agent here"):
        connect(f"local:{silent}").start("onnxruntime")


def test_a_runtime_that_edgekd_does_not_have_is_told():
    with pytest.raises(EdgekdError, match="abacus") as e:
        connect("local:").start("abacus")
    assert "onnxruntime" in e.value.hint


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"arch": "sparc"}, False),
        ({"os": "android"}, False),
        ({"marker": "/proc/self"}, True),
        ({"marker": "/proc/no/such/board"}, False),
    ],
)
def test_a_device_is_of_a_target_by_architecture_system_and_marker(changes, expected):
    kind = target(**changes)
    with connect("local:").start("onnxruntime") as agent:
        assert is_of_target(agent, kind) is expected
    if expected:
        assert connect_target("local:", kind).url == "local:"
        return
    with pytest.raises(NoDeviceError, match="is no Some Board") as e:
        connect_target("local:", kind)
    assert e.value.exit_code == ExitCode.INCONCLUSIVE


def matrix(folder, value):
    """A model that multiplies ones by a matrix of one value, which is beside it in a file of its own."""
    folder.mkdir(parents=True)
    weights = onnx.numpy_helper.from_array(np.full((256, 256), value, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 256]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
    return path


def given_by(path):
    session = onnxruntime.InferenceSession(connect("local:").put(path))
    return session.run(None, {"x": np.ones((1, 256), np.float32)})[0][0, 0]


def test_a_linked_models_data_is_that_beside_the_link(tmp_path):
    first, second = matrix(tmp_path / "v1", 1.0), matrix(tmp_path / "v2", 2.0)
    second.unlink()
    second.symlink_to(first)
    assert given_by(first) == 256
    assert given_by(second) == 512
    assert describe(first, name="n", runtime="r").id != describe(second, name="n", runtime="r").id


def test_a_model_whose_files_are_all_links_elsewhere_is_read(tmp_path):
    model, blobs, snapshot = matrix(tmp_path / "plain", 1.0), tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    snapshot.mkdir()
    for number, file in enumerate((model, model.with_name("model.onnx_data"))):
        (snapshot / file.name).symlink_to(file.rename(blobs / str(number)))
    assert given_by(snapshot / "model.onnx") == 256
    assert describe(snapshot / "model.onnx", name="n", runtime="r").disk_bytes > 256 * 256 * 4
