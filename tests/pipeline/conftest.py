import io
import json
import os
import resource
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgekd import catalog, cli
from edgekd.failures import run as ending
from edgekd.pipeline import measuring

SMALL = ["--model", "resnet8", "--data", "digits", "--teacher-epochs", "1", "--epochs", "1"]
# a whole compression in well under a minute: real data, real training, real measuring


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str
    folder: Path

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.out)


@pytest.fixture(scope="session", autouse=True)
def kept_here(own_cache):
    """All of these tests share one cache, and find nothing from elsewhere."""


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """A recipe file that measures shortly, and searches one ratio for all layers, by stating an option of that."""
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    searching = '[search]\noptions = {scope = "layer"}\n'
    path.write_text(searching + "[measure]\nlaunches = 3\nseconds = 0.3\nblock_seconds = 0.02\nwarmup_seconds = 0.3\n")
    return path


@pytest.fixture(scope="session")
def one_runtime(tmp_path_factory):
    """The target x86-cpu with ONNX Runtime's variants alone: what else is installed makes no other run."""
    return narrowed(tmp_path_factory.mktemp("target"), lambda variant: variant["runtime"] == "onnxruntime")


@pytest.fixture(scope="session")
def two_variants(tmp_path_factory):
    """The target x86-cpu with ONNX Runtime's fp32 and INT8 alone: whole compressions take no longer than these two."""
    wanted = {("onnxruntime", "fp32"), ("onnxruntime", "int8")}
    folder = tmp_path_factory.mktemp("target")
    return narrowed(folder, lambda variant: (variant["runtime"], variant["precision"]) in wanted)


def narrowed(folder, wanted):
    """A file of the target x86-cpu with some of its variants."""
    path, text = folder / "x86-cpu.toml", (catalog.folder("targets") / "x86-cpu.toml").read_text()
    first, *tables = text.split("[[variants]]")
    stated = tomllib.loads(text)["variants"]
    kept = [table for table, variant in zip(tables, stated, strict=True) if wanted(variant)]
    path.write_text("[[variants]]".join([first, *kept]))
    return path


@pytest.fixture(scope="session")
def compress(quick, two_variants):
    """Runs `edgekd compress` in this process: its exit code and what it printed."""

    def run(folder: Path, *options: object, target: str | None = "x86-cpu") -> Ended:
        kind = ["--target", two_variants if target == "x86-cpu" else target] if target else []
        line = ["edgekd", "compress", *SMALL, *kind, "--recipe", quick, "--out", folder, *options]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", [str(part) for part in line])
            code = ending(lambda: cli.app(standalone_mode=False))
        return Ended(code, out.getvalue(), err.getvalue(), folder)

    return run


@pytest.fixture
def start(two_variants, undisturbed, tmp_path):
    """Starts `edgekd compress` as a process of its own, so that it can be killed. It measures still less long.

    How it computes is fixed: two runs that time it anew may find another way faster, and then differ by rounding. What
    it measures isn't invalid because of others.
    """
    pinned = tmp_path / "pinned.toml"
    ways = 'precision = "fp32"\nmemory_format = "contiguous"\nthreads = 1\n'
    searching = '[search]\noptions = {scope = "layer"}\n'
    measuring = "[measure]\nlaunches = 2\nseconds = 0.1\nblock_seconds = 0.02\nwarmup_seconds = 0.1\n"
    pinned.write_text(f'{searching}{measuring}[teacher]\n{ways}[recover]\nteacher_precision = "fp32"\n{ways}')

    def run(folder: Path, *options: object, largest_file: int | None = None) -> subprocess.Popen[str]:
        def limit() -> None:
            # a shell lets what it starts in the background ignore Ctrl-C
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if largest_file:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        line = [sys.executable, "-m", "edgekd", "compress", *SMALL, "--target", two_variants, "--ratio", "0.5"]
        return subprocess.Popen(
            [*map(str, line), "--recipe", pinned, "--out", folder, *map(str, options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=limit,
        )

    return run


@pytest.fixture
def budget(tmp_path):
    """Writes a budget file."""

    def write(text: str) -> Path:
        path = tmp_path / "budget.toml"
        path.write_text(f'name = "mine"\n{text}\n')
        return path

    return write


@pytest.fixture(scope="session")
def on_device():
    """Within this context `edgekd compress` finds that device as `local:` for x86-cpu, whatever the machine."""
    real = measuring.connect

    @contextmanager
    def use(device):
        def connect(url, target, known=None, **more):
            return device if (url, target.arch) == ("local:", "x86_64") else real(url, target, known, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(measuring, "connect", connect)
            yield device

    return use
