"""What runs on a device runs on Python 3.8, as of JetPack 5: read by vermin, and run by a real one where there is one.

A real one is $EDGEKD_PYTHON38, `python3.8`, or what uv or pyenv have; $EDGEKD_PYTHON38 may have ONNX Runtime.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_tensorrt
import numpy as np
import pytest

from edgekd import catalog
from edgekd.devices.agent.protocol import Build, Feeds, Opening
from edgekd.devices.client import Agent
from edgekd.devices.shipped import AGENT, runtime_file, runtime_files
from edgekd.runtimes._base import RUNTIMES
from edgekd.worker import Worker

BARE = """
import time
formats = ("any",)
builds = True
def describe():
    return {"version": "1", "provider": "none"}
def build(path, engine, shapes, **settings):
    with __builtins__["open"](engine, "w") as file:
        file.write(path)
    return "by hand"
class open:
    provider = "none"
    def __init__(self, path, *, threads=1, trace_in=None):
        self.path = path
    def inputs(self):
        return []
    def run(self, feeds):
        time.sleep(0.001)
        return []
    def nodes(self, cold):
        return [{"name": "all", "op": "Sleep", "provider": "none", "ms": 1}]
"""


VERMIN = "import sys, vermin; sys.exit(vermin.main())"


def newer_than_python_3_8(sources):
    """What vermin says of the files; nothing if Python 3.8 runs them, as far as can be read."""
    command = [sys.executable, "-c", VERMIN, "--target=3.8-", "--violations", "--no-tips", *map(str, sources)]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "versions:" in found.stdout, found.stderr  # it ran
    return found.stdout if found.returncode else ""


def test_nothing_that_is_newer_than_python_3_8_is_used():
    sources = [*AGENT.glob("*.py"), *(file for name in catalog.names(RUNTIMES) for file in runtime_files(name))]
    assert newer_than_python_3_8(sources) == ""


@pytest.mark.parametrize(
    "newer", ["import math\nmath.lcm(1, 2)", "{} | {}", "'ab'.removeprefix('a')", "match 1:\n    case _:\n        pass"]
)
def test_syntax_and_library_of_python_3_9_and_later_are_found(tmp_path, newer):
    (tmp_path / "newer.py").write_text(f"{newer}\n")
    assert "newer.py" in newer_than_python_3_8([tmp_path / "newer.py"])


def is_python38(command):
    asked = [command, "-c", "import sys; print(sys.version_info[:2] == (3, 8))"]
    try:
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=False).stdout.strip() == "True"
    except OSError:
        return False


def found_by(*command):
    if shutil.which(command[0]) is None:
        return []
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout.splitlines()


@pytest.fixture(scope="module")
def python38():
    given = os.environ.get("EDGEKD_PYTHON38")
    known = [given] if given else ["python3.8"]
    known += found_by("uv", "python", "find", "--offline", "3.8") + found_by("pyenv", "whence", "--path", "python3.8")
    found = next((command for command in known if is_python38(command)), None)
    if found is None:
        pytest.skip("no Python 3.8 here: install one (such as `uv python install 3.8`), or name it in $EDGEKD_PYTHON38")
    return found


def start(python, runtime, *options):
    agent = Agent(Worker([python, str(AGENT), "--runtime", str(runtime), *options]), "python3.8:")
    agent.describe(60)
    return agent


def test_every_request_is_answered_by_a_real_python_3_8(python38, tmp_path):
    """With a runtime of the standard library alone."""
    runtime = tmp_path / "bare.py"
    runtime.write_text(BARE)
    with start(python38, runtime, "--cache", str(tmp_path / "cache")) as agent:
        host = agent.describe().host
        assert host.python.startswith("3.8.")
        survey = agent.survey({"bare": str(runtime), "lost": "/no/such/runtime.py"}, ["/proc", "/no/such"])
        assert ([*survey.runtimes], survey.exist, survey.host) == (["bare"], ("/proc",), host)
        assert agent.exists(str(tmp_path))
        assert agent.cpus().cpus
        assert agent.state().state.temperatures_c is not None
        built = agent.build(Build("/some/artifact", {}, "key"))
        assert (Path(built.path).read_text(), built.bytes) == ("/some/artifact", len("/some/artifact"))
        assert agent.build(Build("/some/artifact", {}, "key")) == built
        opening = Opening(built.path, {"threads": 1}, Feeds())
        assert agent.load(opening).inputs == {}
        assert agent.first().first_ms >= 1
        assert agent.warmup(5, 0.1, None, first_ms=1).samples_ms
        assert agent.block(0.02, None, latency_ms=1).samples_ms
        assert agent.finish().peak_bytes is not None
        assert agent.trace(opening, seconds=0.01).nodes[0].op == "Sleep"


def test_onnx_runtime_measures_and_evaluates_there(python38, model):
    asked = [python38, "-c", "import numpy, onnxruntime"]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip(f"{python38} has no onnxruntime: pip install it into one, and name that in $EDGEKD_PYTHON38")
    options = {"threads": 1, "spinning": False}
    path, images = str(model(batch=1)), np.random.default_rng(0).standard_normal((5, 3, 8, 8)).astype(np.float32)
    with (
        start(python38, runtime_file("onnxruntime")) as there,
        start(sys.executable, runtime_file("onnxruntime")) as here,
    ):
        assert there.load(Opening(path, options)).inputs == {"image": (1, 3, 8, 8)}
        assert there.first().first_ms > 0
        (found,), (expected,) = (agent.evaluate(path, options, [images]) for agent in (there, here))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(fake_tensorrt.COMPILER is None, reason="no C compiler: there is no fake CUDA runtime")
def test_tensorrt_is_surveyed_and_builds_there(python38, tmp_path, model):
    python = fake_tensorrt.device_python(tmp_path / "device", python=shutil.which(python38))
    with start(str(python), runtime_file("tensorrt"), "--cache", str(tmp_path / "cache")) as agent:
        (found,) = agent.survey({"tensorrt": str(runtime_file("tensorrt"))}, []).runtimes.values()
        assert (found.version, found.precisions[:2]) == ("10.3.0", ("fp32", "fp16"))
        built = agent.build(Build(str(model(batch=1)), {"precision": "fp32"}, "key"))
    assert (Path(built.path).stat().st_size, built.how) == (built.bytes, "tensorrt 10.3.0 in Python, strongly typed")
