import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.measuring.artifact import describe
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

SHORT = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)


@pytest.fixture
def device(sshd):
    with connect(sshd.url) as found:
        yield found
    assert_nothing_left(sshd)


def assert_nothing_left(sshd):
    """No process and no partial on the device, and no connection."""
    end = time.monotonic() + 10
    while (sshd.programs() or sshd.connections()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not sshd.programs()
    assert not sshd.connections()
    assert not [*sshd.cache.glob("partial/*")]


def clients(sshd):
    """The local processes of our connections."""
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "ssh" and f"{sshd.root}/config" in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_models_are_measured_over_ssh(sshd, model):
    first, second = model("first"), model("second", channels=4, external=True)
    target = catalog.target("x86-cpu")
    found = profile([first, second], target=target, device_url=sshd.url, protocol=SHORT, progress=Silent())
    assert [one.device for one in found] == [sshd.url] * 2
    assert all(one.on_target and one.launches[0].blocks_ms for one in found)
    assert_nothing_left(sshd)
    assert not clients(sshd)


def test_the_device_needs_nothing_of_edgekds_own(sshd, device):
    with device._connection.start([str(sshd.python), "-c", IMPORTS]) as worker:
        assert worker.receive(30) == {"torch": False, "typer": False, "pydantic": False, "onnxruntime": True}


IMPORTS = """
import json, importlib.util
names = ("torch", "typer", "pydantic", "onnxruntime")
print(json.dumps({name: importlib.util.find_spec(name) is not None for name in names}))
"""


def test_outputs_are_the_same_as_here(device, model):
    artifact = describe(model(batch=1), name="n", runtime="onnxruntime")
    images = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype("float32")
    with connect("local:") as here:
        (expected,), (found,) = (list(one.evaluate(artifact, [images])) for one in (here, device))
    np.testing.assert_array_equal(found, expected)


def test_what_the_device_has_is_not_sent_again(sshd, device, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1" * 100_000)
    there = Path(device.push([tmp_path / "a.bin"]))
    assert there.read_bytes() == b"1" * 100_000
    written, sessions = there.stat().st_mtime_ns, sshd.log.count("Starting session")
    assert Path(device.push([tmp_path / "a.bin"])) == there
    assert sshd.log.count("Starting session") == sessions
    with connect(sshd.url) as again:
        assert Path(again.push([tmp_path / "a.bin"])) == there
    assert there.stat().st_mtime_ns == written
    assert sshd.log.count("Starting session") == sessions + 1
