import sys
from pathlib import Path

import pytest

from edgekd.errors import DeviceError, EdgekdError
from edgekd.pipeline.doctor import doctor
from edgekd.progress import Silent


def test_it_says_what_is_here_and_which_targets_it_is():
    found = doctor(None, noise=False, progress=Silent())
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.libraries["onnxruntime"] == found.runtimes["onnxruntime"].version
    assert found.libraries["onnx"]
    assert "x86-cpu" in found.targets
    assert not any(name.startswith("jetson") for name in found.targets)
    assert found.noise is None


def test_a_device_without_a_runtime_is_examined_and_what_installs_one_is_said(tmp_path):
    bare = tmp_path / "python"
    # -S leaves out the installed packages, -E what the environment adds
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    bare.chmod(0o755)
    found = doctor(f"local:{bare}", noise=False, progress=Silent())
    assert found.runtimes == {}
    missing = found.missing["onnxruntime"]
    assert (missing.why, missing.install) == (
        "not installed: Python has no module onnxruntime",
        f"{bare} -m pip install onnxruntime",
    )
    assert found.missing["tensorrt"].why.startswith("this Python has no module tensorrt. On a Jetson: sudo apt-get")
    assert found.missing["tensorrt"].install is None
    assert (missing.wanted, found.missing["tensorrt"].wanted) == (True, False)
    assert any("no runtime" in remark for remark in found.remarks)
    with pytest.raises(DeviceError, match="no module onnxruntime") as e:
        doctor(f"local:{bare}", noise=True, progress=Silent())
    assert e.value.hint == f"Install it there: {bare} -m pip install onnxruntime"


def test_a_device_that_is_not_there_is_reported():
    with pytest.raises(DeviceError, match="can't start"):
        doctor("local:/no/such/python", noise=False, progress=Silent())


def test_a_model_without_noise_is_refused():
    with pytest.raises(EdgekdError, match="--model is compared with itself by --noise alone"):
        doctor(None, noise=False, model=Path("m.onnx"), progress=Silent())
