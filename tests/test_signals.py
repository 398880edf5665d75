"""What is left when a command is ended: real processes, with children at full speed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")

SLOW = """
import os, pathlib, sys, torch
from torch import nn
class Slow(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        layers = nn.Conv2d(channels, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes)
        self.net = nn.Sequential(*layers)
    def forward(self, images):
        while any("edgekd.pruning" in word for word in sys.orig_argv):  # endless where it is pruned
            pathlib.Path(os.environ["BUSY"]).touch()
            torch.randn(600, 600) @ torch.randn(600, 600)
        return self.net(images)
make = Slow
"""


def descendants(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in map(int, task.read_text().split()):
                found += [child, *descendants(child)]
        except OSError:
            continue  # it has ended
    return found


def busy_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def alive(pids):
    def state(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return "Z"

    return [pid for pid in pids if state(pid) != "Z"]


def ended(arguments, number, *, busy, environment=None):
    """Start the command, end it when its children are busy; its exit code, its words, who is left."""
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **(environment or {})}
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 300
        children = []
        while not (children and busy(children)) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
            children = descendants(process.pid)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert children
    deadline = time.monotonic() + 10
    while alive(children) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = alive(children)
    for child in left:
        os.kill(child, signal.SIGKILL)
    return process.returncode, stderr, left


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_agent_is_left(model, number):
    arguments = ["profile", model(layers=6, channels=256, size=128), "--target", "x86-cpu", "--seconds", "60"]
    code, stderr, left = ended(arguments, number, busy=lambda found: any(busy_s(child) > 2 for child in alive(found)))
    assert left == []
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    assert number == signal.SIGKILL or "terminated\nit ended in: " in stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_child_that_prunes_is_left(tmp_path, number):
    (tmp_path / "slow.py").write_text(SLOW)
    arguments = ["compress", "--model", "slow:make", "--data", "digits", "--target", "jetson", "--ratio", "0.3"]
    arguments += ["--teacher-epochs", "1", "--out", tmp_path / "run"]
    begun = tmp_path / "begun"
    environment = {"PYTHONPATH": str(tmp_path), "EDGEKD_CACHE": str(tmp_path / "cache"), "BUSY": str(begun)}
    code, stderr, left = ended(arguments, number, busy=lambda _: begun.exists(), environment=environment)
    assert left == []
    assert code == (-9 if number == signal.SIGKILL else 143)
    assert number == signal.SIGKILL or "terminated\nit ended in: " in stderr


def test_a_process_ends_with_the_one_that_started_it():
    child = """
import time
from edgekd.signals import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep(100)
"""
    parent = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(100)
"""
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        assert alive([pid])
        process.kill()
    deadline = time.monotonic() + 20
    while alive([pid]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive([pid])


def test_nothing_is_left_of_torchrun(tmp_path):
    (tmp_path / "trains.py").write_text("""
import os
from edgekd.training.ranks import joined
with joined():
    os.write(1, b"ready\\n")  # in one piece: both write into the same pipe
    while True:
        pass
""")
    # --standalone takes a port that is free
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*run, tmp_path / "trains.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        ready = [process.stdout.readline() for _ in range(2)]
        children = descendants(process.pid)
        process.kill()
    deadline = time.monotonic() + 20
    while alive(children) and time.monotonic() < deadline:
        time.sleep(0.1)
    left = alive(children)
    for child in left:
        os.kill(child, signal.SIGKILL)
    assert (ready, len(children) >= 2, left) == (["ready\n"] * 2, True, [])


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize("where", ["in the callback of a weak reference", "in a finaliser"])
def test_a_signal_that_comes_where_nothing_can_be_raised_comes_again(name, code, where):
    """Python drops what is raised there. torch.compile keeps such callbacks, and trainings run them all the time."""
    program = f"""
import signal, sys, time, weakref
from edgekd.failures import run
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in the foreground
class Thing:
    def __del__(self):
        if {where == "in a finaliser"}:
            signal.raise_signal(signal.{name})
            time.sleep(0.1)
def command():
    thing = Thing()
    reference = weakref.ref(thing, lambda _: (signal.raise_signal(signal.{name}), time.sleep(0.1)))
    if {where == "in a finaliser"}:
        reference = None
    del thing
    time.sleep(20)
    print("goes on")
sys.exit(run(command))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (found.returncode, found.stdout) == (code, ""), found.stderr
    assert "Traceback" not in found.stderr


def test_a_signal_that_is_ignored_stays_ignored():
    code = """
import os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from edgekd.signals import unwinding
with unwinding() as received:
    os.kill(os.getpid(), signal.SIGHUP)
    try:
        signal.raise_signal(signal.SIGTERM)
        signal.pause()
    except KeyboardInterrupt:
        print(received)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout == "[15]\nTrue\n"
