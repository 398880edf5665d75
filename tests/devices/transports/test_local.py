import pytest

from edgekd.devices.device import connect
from edgekd.errors import DeviceError


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("printf '2.7 '", r"is Python 2\.7; edgekd needs 3\.8 or newer"),
        ("printf '3.7 onnxruntime'", r"is Python 3\.7; edgekd needs 3\.8 or newer"),
        ("echo 'no such library' >&2; exit 3", "is no Python: no such library"),
        ("exit 1", "is no Python: it ends with exit code 1"),
    ],
)
def test_what_is_no_python_or_too_old_is_refused_with_a_remedy(tmp_path, script, says):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    with connect(f"local:{python}") as device, pytest.raises(DeviceError, match=says) as e:
        _ = device.facts
    assert "Traceback" not in e.value.message
    assert "local:/" in e.value.hint
