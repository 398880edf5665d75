"""A device that lies, by the command line and a real connection: exit code 4, with words, and no result."""

import json
import subprocess
import sys

import pytest

from edgekd.devices.device import connect
from edgekd.errors import ExitCode, MeasurementError
from tests.devices.lying import lying_python

SHORT = ("--target", "x86-cpu", "--launches", 1, "--seconds", 0.05)
MORE = "answer['samples_ms'] = [100.0] * 2_000"


def edgekd(*arguments, **settings):
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **settings)


def refused(found, says):
    assert found.returncode == ExitCode.INVALID, found.stderr
    assert says in found.stderr
    assert "hint: " in found.stderr
    assert found.stdout == ""
    assert "\x1b" not in found.stderr
    assert len(found.stderr) < 10_000


@pytest.mark.parametrize(
    ("about", "lie", "says"),
    [
        ("block", MORE, "to 'block': the sum of samples_ms is 200000 ms, but the answer came after"),
        ("load", "answer['sha256'] = ['0' * 64]", "model.onnx has another content there than was sent"),
        ("finish", "said.write(b'\\x1b[2J' * 1_000_000)", "to 'finish': answered more than 1048576 bytes: '\\x1b[2J"),
    ],
)
def test_profile_refuses_what_cannot_be_true(model, tmp_path, about, lie, says):
    python = lying_python(tmp_path / "python", about, lie)
    refused(edgekd("profile", model(), "--device", f"local:{python}", *SHORT), says)


@pytest.mark.parametrize(
    ("about", "lie", "says"),
    [
        ("survey", "answer['host']['cores'] = 0", "to 'survey': host.cores is 0"),
        ("state", "print('Welcome!')", "to 'state': answered 'Welcome!"),
        ("acquire", "answer['holder']['held_s'] = 1e18", "to 'acquire': holder.held_s is 1e.18"),
    ],
)
def test_it_is_refused_from_its_first_words(tmp_path, about, lie, says):
    python = lying_python(tmp_path / "python", about, lie)
    with pytest.raises(MeasurementError, match=says) as e, connect(f"local:{python}") as device, device.leased():
        _ = device.facts
    assert e.value.hint


def test_check_gives_no_verdict_on_it(model, tmp_path):
    budget = tmp_path / "mine.toml"
    budget.write_text('name = "mine"\n[latency]\nlimit_ms = 1000\n')
    python = lying_python(tmp_path / "python", "block", MORE)
    found = edgekd("check", model(), "--budget", budget, "--device", f"local:{python}", "--target", "x86-cpu")
    refused(found, "the sum of samples_ms is 200000 ms")


def test_it_is_refused_over_ssh_and_what_it_calls_itself_is_shown_as_text(sshd, model, tmp_path):
    """One lie is plausible, and only shown."""
    device = f"ssh://device{lying_python(tmp_path / 'fast', 'block', MORE, sshd.python)}"
    refused(edgekd("profile", model(), "--device", device, *SHORT), f"{device}: invalid answer of the agent to 'block'")
    lie = "answer['host'].update(cpu='\\x1b]0;mine\\x07')"
    device = f"ssh://device{lying_python(tmp_path / 'named', 'describe', lie, sshd.python)}"
    found = edgekd("profile", model(), "--device", device, *SHORT, "--json")
    assert json.loads(found.stdout)["host"]["cpu"] == r"\x1b]0;mine\x07"


HEARS = """
import resource, sys
from edgekd.devices.agent.protocol import Opening
from edgekd.devices.client import Agent
from edgekd.errors import MeasurementError
from edgekd.worker import Worker
import numpy
with Agent(Worker([sys.executable, "-c", sys.argv[1]]), "test:") as agent:
    try:
        {asks}
    except MeasurementError:
        pass
    else:
        sys.exit("believed")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
QUIET = "import sys; sys.stdin.readline(); print({})"


@pytest.mark.parametrize(
    ("asks", "floods"),
    [
        ("agent.exists('/')", "write(b'x' * 1_000_000)"),
        ("agent.exists('/')", "write(b'{}\\n' * 100_000)"),
        ("agent.exists('/')", "write(b'[[' * 500_000 + b'\\n')"),
        ("agent.block(0.01, None, 1.0)", "write(b'{\"samples_ms\": [' + b'1,' * 1_000_000)"),
        ("[*agent.evaluate('m', {}, [numpy.ones((1, 1))])]", "write(b'#100000\\n' + b'x' * 100_000 + b'{}\\n')"),
    ],
)
def test_the_hosts_memory_is_bounded_whatever_a_device_sends(asks, floods):
    """A gigabyte is offered."""
    floods = f"import sys\nsys.stdin.readline()\nfor _ in range(1_000): sys.stdout.buffer.{floods}"
    peaks = []
    for child in (QUIET, floods):
        command = [sys.executable, "-c", HEARS.format(asks=asks), child]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr
        peaks.append(int(found.stdout) * 1024)
    assert peaks[1] - peaks[0] < 60e6
