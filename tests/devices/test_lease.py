"""The lease on a device, between real processes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial

import psutil
import pytest

from edgekd.devices.agent.protocol import Holder
from edgekd.devices.device import connect
from edgekd.devices.lease import Waiting, in_use
from edgekd.devices.shipped import AGENT
from edgekd.errors import DeviceError, ExitCode, MeasurementError, UnsupportedModelError

HOST = """
import sys, time
from edgekd.devices import lease
from edgekd.devices.device import Reached, connect
from edgekd.errors import EdgekdError
seconds, lease.Lease.__init__.__defaults__ = float(sys.argv[1]), (lease.Waiting(), float(sys.argv[2]))
try:
    with connect(sys.argv[3]) as device, device.leased():
        print(device._lease._keeper.process.pid, flush=True)
        sys.stdin.readline()
except EdgekdError as e:
    print(type(e).__name__, e.message, flush=True)
"""


@contextmanager
def other_host(expires_s=60.0, url="local:"):
    """Another process that holds the lease until it gets a line; gives it with its keeper's process id."""
    command = [sys.executable, "-c", HOST, "0", str(expires_s), url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        process.keeper = int(process.stdout.readline())
        yield process
    finally:
        process.kill()
        process.communicate()


def held_by(process):
    return f"pid {process.pid}"


def use(device, then=lambda: None):
    with device.leased():
        then()


def kill_keeper(device):
    os.kill(device._lease._keeper.process.pid, signal.SIGKILL)


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_host_is_refused_with_who_holds_the_device_and_how_to_wait():
    with connect("local:") as device:
        assert device.holder() is None
        with other_host() as other:
            assert held_by(other) in device.holder().who
            with (
                pytest.raises(DeviceError, match=rf"this machine: in use by .*@.*, {held_by(other)}, since ..:..") as e,
                device.leased(),
            ):
                pytest.fail("both hold it")
            assert e.value.exit_code == ExitCode.UNREACHABLE
            assert "--wait" in e.value.hint
            other.communicate("\n")
        with device.leased():
            assert f"pid {os.getpid()}" in device.holder().who
        assert device.holder() is None


def test_a_second_host_waits_and_says_for_whom_once():
    notes = []
    with other_host() as other:

        def release(text):
            notes.append(text)
            other.stdin.write("\n")
            other.stdin.flush()

        with connect("local:", waiting=Waiting(60, release)) as device, device.leased():
            assert len(notes) == 1
            assert "waiting for this machine: in use by" in notes[0]
            assert held_by(other) in notes[0]


def test_waiting_ends_with_its_time():
    with other_host() as other, pytest.raises(DeviceError, match=held_by(other)):
        use(connect("local:", waiting=Waiting(0.1)))


def test_waiting_ends_when_the_device_is_closed():
    waiting = threading.Event()
    with other_host(), connect("local:", waiting=Waiting(60, lambda text: waiting.set())) as device:
        failed = []

        def wait():
            try:
                with device.leased():
                    failed.append("both hold it")
            except DeviceError as e:
                failed.append(e.message)

        thread = threading.Thread(target=wait)
        thread.start()
        assert waiting.wait(30)
        device.close()
        thread.join(30)
        assert failed == ["this machine: closed while waiting for it"]


def test_a_killed_host_leaves_no_lease():
    with other_host() as other:
        other.kill()
        started = time.monotonic()
        with connect("local:", waiting=Waiting(60)) as device, device.leased():
            pass
        assert time.monotonic() - started < 30  # far less than a lease lasts
        wait_until(lambda: not alive(other.keeper))


def test_a_stopped_hosts_lease_runs_out_and_what_it_measures_does_not_count():
    with other_host(expires_s=2) as other:
        other.send_signal(signal.SIGSTOP)
        with connect("local:", waiting=Waiting(60)) as device, device.leased():
            assert not alive(other.keeper)
            other.send_signal(signal.SIGCONT)
            said, _ = other.communicate("\n")
    assert said.startswith("MeasurementError this machine: the lease on the device was lost")
    assert "not renewed for 2 s" in said


def test_a_lease_is_renewed():
    with other_host(expires_s=3) as other, connect("local:") as device:
        time.sleep(7)
        assert held_by(other) in device.holder().who
        assert other.communicate("\n")[0] == ""


def test_losing_the_keeper_is_an_error_and_no_launch_starts_after_it():
    def measure_on():
        kill_keeper(device)
        device._lease._renew()
        with pytest.raises(MeasurementError, match="lost"):
            device.start("onnxruntime")

    with connect("local:") as device:
        with pytest.raises(MeasurementError, match="the lease on the device was lost") as e:
            use(device, partial(kill_keeper, device))
        assert e.value.exit_code == ExitCode.INVALID
        with pytest.raises(MeasurementError, match="lost"):
            use(device, measure_on)
        # a keeper that has ended is started again
        use(device, lambda: device.start("onnxruntime").close())


def test_a_lease_that_is_lost_stays_lost_in_blocks_within():
    def lose_and_go_on():
        kill_keeper(device)
        for _ in range(2):
            with pytest.raises(MeasurementError, match="lost"):
                use(device)

    with connect("local:") as device, pytest.raises(MeasurementError, match="lost"):
        use(device, lose_and_go_on)


def test_a_verdict_on_a_model_does_not_count_without_the_lease_either():
    def refuse():
        raise UnsupportedModelError("no")

    def lose_and_refuse():
        kill_keeper(device)
        refuse()

    with connect("local:") as device:
        with pytest.raises(UnsupportedModelError, match="no"):
            use(device, refuse)
        with pytest.raises(MeasurementError, match="lost"):
            use(device, lose_and_refuse)


def test_a_keeper_that_ended_between_two_blocks_is_started_again():
    with connect("local:") as device:
        with device.leased():
            keeper = device._lease._keeper.process.pid
        kill_keeper(device)
        with device.leased():
            assert device._lease._keeper.process.pid != keeper


def test_blocks_nest_and_threads_share_the_lease():
    with connect("local:") as device:
        both = threading.Barrier(2, timeout=30)

        def nest():
            with device.leased():
                use(device, both.wait)

        threads = [threading.Thread(target=nest) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not both.broken
        assert device.holder() is None


JUMPING_CLOCK = """
import itertools, runpy, sys, time
jumps = itertools.count()
time.time = lambda: (-1) ** next(jumps) * 1e7
sys.argv.pop(0)
sys.path.insert(0, sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_wall_clock_that_is_set_does_not_matter(tmp_path):
    """The device's clock jumps by months whenever it is read."""
    (tmp_path / "jumping.py").write_text(JUMPING_CLOCK)
    python = tmp_path / "python"
    asked = f'[ "$1" = -c ] && exec {sys.executable} "$@"'  # for its version
    python.write_text(f'#!/bin/sh\n{asked}\nexec {sys.executable} {tmp_path}/jumping.py "$@"\n')
    python.chmod(0o755)
    with other_host(expires_s=3, url=f"local:{python}") as other, connect("local:") as device:
        time.sleep(7)
        holder = device.holder()
        assert held_by(other) in holder.who
        assert 1 < holder.held_s < 60
        assert other.communicate("\n")[0] == ""


def refused(device):
    with pytest.raises(DeviceError, match="the lease on the device can't be taken") as e:
        use(device)
    assert e.value.exit_code == ExitCode.UNREACHABLE
    return e.value


def test_a_link_is_not_followed(lease, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lease.symlink_to(victim)
    with connect("local:") as device:
        assert "is a link" in refused(device).message
        lease.unlink()
        os.link(victim, lease)
        assert f"rm {lease}" in refused(device).hint
    assert victim.read_text() == "precious"


def test_what_is_no_file_is_refused(lease):
    os.mkfifo(lease)
    with connect("local:") as device:
        assert "not a plain file" in refused(device).message


def test_a_folder_that_can_not_be_written_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setenv("EDGEKD_LEASE", "/proc/edgekd.lease")
    with connect("local:") as device:
        error = refused(device)
    assert "/proc/edgekd.lease" in error.message
    assert "EDGEKD_LEASE" in error.hint


def as_nobody(folder):
    """A Python that is another user's; its agent has a copy of the code that all may read."""
    if os.getuid():
        pytest.skip("only root can be another user")
    python = folder / "python"
    run = 'exec setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 "$@"'
    python.write_text(f"#!/bin/sh\n{run}\n")
    python.chmod(0o755)
    reads = [python, "-c", f"open('{AGENT / 'lease.py'}')"]
    if shutil.which("setpriv") is None or subprocess.run(reads, check=False, capture_output=True).returncode:
        pytest.skip("no other user's Python that can read the agent")
    return f"local:{python}"


def test_every_user_of_the_device_can_take_it(lease, tmp_path):
    other = as_nobody(tmp_path)
    lease.parent.chmod(0o1777)
    before = os.umask(0o077)
    try:
        with connect("local:") as device, device.leased():
            assert lease.stat().st_mode & 0o777 == 0o666
            with pytest.raises(DeviceError, match="in use by"):
                use(connect(other))
        with connect(other) as nobody, nobody.leased():
            pass
        lease.chmod(0o600)
        with connect(other) as nobody:
            assert f"chmod 666 {lease}" in refused(nobody).hint
        lease.unlink()
        with connect(other) as nobody, nobody.leased():
            assert lease.stat().st_uid == 65534
    finally:
        os.umask(before)


def test_a_file_that_is_removed_lets_another_in_and_so_the_lease_is_lost(lease):
    def share():
        lease.unlink()
        use(connect("local:"))

    with connect("local:") as device, pytest.raises(MeasurementError, match="removed or replaced"):
        use(device, share)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"who": 1}', '{"who": "a", "since": "b"}', "[" * 100_000])
def test_a_holder_who_left_no_name_is_unknown(lease, text):
    with other_host(), connect("local:") as device:
        lease.write_text(text)
        assert device.holder() == Holder("unknown", None)
        with pytest.raises(DeviceError, match="in use by unknown"):
            use(device)


def test_what_a_holder_is_called_is_made_safe_to_print(lease):
    with other_host(), connect("local:") as device:
        lease.write_text(json.dumps({"who": "\x1b[31m" + "x" * 1000, "since": 0}))
        said = in_use(device.holder())
    assert "\x1b" not in said
    assert len(said) < 300


def edgekd(*arguments):
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def says_that_it_waits(process):
    return "waiting for" in process.stderr.readline()


SHORT = ("--launches", 1, "--seconds", 0.05, "--target", "x86-cpu")


@pytest.mark.alone  # the second command starts while the first one measures
def test_profile_exits_with_5_or_waits(model):
    with other_host() as other:
        process = edgekd("profile", model(), *SHORT)
        _, said = process.communicate()
        assert process.returncode == ExitCode.UNREACHABLE
        assert held_by(other) in said
        assert "--wait" in said
    for _ in range(3):  # others may disturb what is measured
        with other_host() as other:
            process = edgekd("profile", model(), *SHORT, "--wait", 1)
            wait_until(partial(says_that_it_waits, process))
            other.communicate("\n")
            _, said = process.communicate(timeout=100)
        if process.returncode != ExitCode.INVALID:
            break
    assert process.returncode == ExitCode.PASS, said


@pytest.mark.slow
@pytest.mark.alone  # the second command starts while the first one measures
def test_two_commands_at_once_take_turns(model):
    # one measures for so long that the other has started before it ends
    line = ("profile", model(), *SHORT, "--seconds", 5, "--wait", "inf", "--json")
    for _ in range(3):  # others may disturb what is measured
        both = [edgekd(*line) for _ in range(2)]
        found = [process.communicate(timeout=100) for process in both]
        codes = [process.returncode for process in both]
        if ExitCode.INVALID not in codes:
            break
    assert codes == [ExitCode.PASS] * 2, [said for _, said in found]
    assert sum("waiting for" in said for _, said in found) == 1
