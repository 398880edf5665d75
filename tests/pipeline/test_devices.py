import os
import sys
import time

from edgekd.devices.client import Agent
from edgekd.devices.device import connect
from edgekd.devices.listed import Place
from edgekd.errors import ExitCode
from edgekd.pipeline.devices import devices


def test_devices_with_their_state(monkeypatch):
    here, gone = Place("here", "local:", "x86-cpu", ("lab",)), Place("gone", "local:/no/such/python")
    free, lost = devices([here, gone], timeout_s=60).devices
    assert (free.device, free.url, free.target, free.tags) == ("here", "local:", "x86-cpu", ("lab",))
    assert "x86-cpu" in free.targets
    assert "onnxruntime" in free.runtimes
    assert (free.in_use, free.failure) == (None, None)
    assert lost.failure.exit_code == ExitCode.UNREACHABLE
    assert "/no/such/python" in lost.failure.message
    assert (lost.host, lost.runtimes) == (None, None)


def test_a_target_that_does_not_exist_is_a_reason_though_the_device_is_free():
    (found,) = devices([Place("a", "local:", "x86-cpuu")], timeout_s=60).devices
    assert found.failure.message == "a in devices.toml: no target 'x86-cpuu'"
    assert found.host.arch
    assert found.runtimes


def test_a_device_in_use_is_not_disturbed(monkeypatch):
    """No runtime is imported there."""
    asked = []
    real = Agent.survey

    def survey(self, runtimes, paths):
        asked.append(runtimes)
        return real(self, runtimes, paths)

    monkeypatch.setattr(Agent, "survey", survey)
    with connect("local:") as holder, holder.leased():
        (found,) = devices([Place("here", "local:")], timeout_s=60).devices
    assert asked == [{}]
    assert f"pid {os.getpid()}" in found.in_use
    assert found.runtimes is None
    assert found.host.arch
    assert found.failure is None


def test_a_lease_that_nobody_can_take_is_a_reason(lease, tmp_path):
    lease.symlink_to(tmp_path / "elsewhere")
    (found,) = devices([Place("here", "local:")], timeout_s=60).devices
    assert "is a link" in found.failure.message


def test_one_that_does_not_answer_keeps_no_other_waiting(tmp_path):
    hangs, bare = tmp_path / "python", tmp_path / "bare"
    hangs.write_text("#!/bin/sh\nexec sleep 600\n")
    # -S leaves out the installed packages, -E what the environment adds: importing runtimes may take seconds
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')
    for python in (hangs, bare):
        python.chmod(0o755)
    started = time.monotonic()
    here, late = devices([Place("here", f"local:{bare}"), Place("late", f"local:{hangs}")], timeout_s=8).devices
    assert time.monotonic() - started < 60
    assert here.failure is None
    assert late.failure.message == "no answer within 8 s"
