"""What is printed where, by the real command: with odd streams, and with user code that prints."""

import json
import os
import subprocess
import sys

import pytest

from edgekd.measuring.document import write
from edgekd.values.result import Result

EDGEKD = [sys.executable, "-m", "edgekd"]


def edgekd(*arguments, after="", encoding="utf-8", **environment):
    """The command, started by a shell that can open and close its streams."""
    command = ["bash", "-c", f'"$@" {after}', "bash", *EDGEKD, *map(str, arguments)]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, **environment}
    return subprocess.run(command, capture_output=True, encoding=encoding, timeout=100, check=False, env=environment)


@pytest.fixture
def passing(tmp_path, measurement):
    """A gate that passes, named with characters of many alphabets."""
    artifact = measurement().artifact.model_copy(update={"name": "größe-写真"})
    write(tmp_path / "m.json", measurement(artifact=artifact))
    (tmp_path / "b.toml").write_text('name = "b"\n[latency]\nlimit_ms = 2.0\n')
    return ["check", tmp_path / "m.json", "--budget", tmp_path / "b.toml"]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_passing_gate_passes_whatever_stdout_can_say(passing, encoding):
    found = edgekd(*passing, encoding=encoding)
    assert (found.returncode, found.stderr) == (0, "")
    assert "PASS" in found.stdout
    found = edgekd(*passing, "--json", encoding=encoding)
    assert found.returncode == 0
    assert json.loads(found.stdout)["artifact"] == "größe-写真"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_passing_gate_passes_with_closed_streams(passing, closed, tmp_path):
    found = edgekd(*passing, "--out", tmp_path / "v.json", after=closed)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("" if ">&- " in closed or closed == ">&-" else "PASS")
    # no file took the place of a stream
    assert json.loads((tmp_path / "v.json").read_text())["status"] == "pass"


@pytest.mark.parametrize("nobody", ["2> >(exit 0)", "2> /dev/full"])
def test_an_error_that_nobody_reads_is_no_broken_budget(nobody):
    assert edgekd("check", "missing.json", "--budget", "half-latency", after=nobody).returncode == 2


def test_escape_sequences_in_names_are_made_visible(passing, tmp_path):
    name = "\x1b[31mred\x07\n::error::no"
    stored = tmp_path / "m.json"
    document = json.loads(stored.read_text())
    document["artifact"]["name"] = name
    stored.write_text(json.dumps(document))
    found = edgekd(*passing, "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md")
    assert found.returncode == 0
    assert found.stdout.startswith("PASS: \\x1b[31mred\\x07\\n::error::no on budget b\n")
    assert "\x1b" not in found.stdout + (tmp_path / "j.xml").read_text() + (tmp_path / "m.md").read_text()
    found = edgekd("check", tmp_path / "\x1b[31m.json", *passing[2:])
    assert "\x1b" not in found.stderr
    assert "\\x1b[31m.json" in found.stderr


PRINTS = """
import atexit, ctypes, os, sys
from torch import nn
print("the module is imported")
atexit.register(print, "the process ends")
def make(classes, channels):
    print("a network is made")
    os.write(1, b"past Python\\n")
    ctypes.CDLL(None).puts(b"by the C library, which writes it later")
    os.system("echo from a program")
    return nn.Sequential(nn.Flatten(), nn.Linear(256 * channels, classes))
"""


def test_json_stays_one_document_whoever_prints(tmp_path):
    (tmp_path / "prints.py").write_text(PRINTS)
    arguments = ["--model", "prints:make", "--data", "digits", "--target", "jetson", "--ratio", "0"]
    arguments += ["--teacher-epochs", "1", "--out", tmp_path / "run", "--json"]
    found = edgekd("compress", *arguments, PYTHONPATH=str(tmp_path), EDGEKD_CACHE=str(tmp_path / "cache"))
    verdict = Result.model_validate_json(found.stdout).verdict
    assert found.returncode == {"not measured": 3, "fail": 1}[verdict.status], found.stderr  # by the CPU's arithmetic
    for says in ("the module is imported", "a network is made", "past Python", "by the C library", "from a program"):
        assert says in found.stderr
    assert "the process ends" in found.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell):
    asked = {"bash": {"COMP_WORDS": "edgekd pro", "COMP_CWORD": "1"}}.get(shell, {"_TYPER_COMPLETE_ARGS": "edgekd pro"})
    code = "import sys; sys.argv[0] = 'edgekd'; from edgekd.cli import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "_EDGEKD_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_FISH_ACTION": "get-args", **asked},
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "profile" in found.stdout
    assert "compress" not in found.stdout
