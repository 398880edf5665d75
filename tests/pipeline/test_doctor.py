import sys

import pytest

from edgekd.errors import DeviceError
from edgekd.pipeline.doctor import doctor
from edgekd.progress import Silent

pytestmark = pytest.mark.alone


def test_it_says_what_is_here_and_which_targets_it_is():
    found = doctor(None, noise=False, progress=Silent())
    assert found.python == ".".join(map(str, sys.version_info[:3]))
    assert found.libraries["onnxruntime"] == found.runtime.version
    assert found.libraries["onnx"]
    assert "x86-cpu" in found.targets
    assert not any(name.startswith("jetson") for name in found.targets)
    assert found.noise is None


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(DeviceError, match="can't start"):
        doctor("local:/no/such/python", noise=False, progress=Silent())
