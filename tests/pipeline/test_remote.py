"""`compress` for devices that aren't this machine: every stage, to a verdict."""

import json
import re
import tomllib
from pathlib import Path

import fake_tensorrt
import pytest
from sshd import Cutting, assert_nothing_left

from edgekd import catalog
from edgekd.errors import ExitCode

pytestmark = pytest.mark.slow

BUDGET = "[latency]\nmax_ratio = 50\n[accuracy]\nmax_drop_pp = 100\n"


@pytest.fixture
def on_this_machine(tmp_path):
    """The file of a target as it is shipped, but for an x86-64 computer, and with some of its variants alone."""

    def make(name: str, *variants: tuple[str, str]) -> Path:
        text = (catalog.folder("targets") / f"{name}.toml").read_text()
        head, *tables = re.sub(r"(?m)^(marker|compatible|family\w*) = .*\n", "", text).split("[[variants]]")
        head = head.replace('arch = "aarch64"', 'arch = "x86_64"')
        kept = [t for t in tables if (found := tomllib.loads(t)) and (found["runtime"], found["precision"]) in variants]
        path = tmp_path / f"{name}.toml"
        path.write_text("[[variants]]".join([head, *kept]))
        return path

    return make


def test_a_jetson_builds_every_engine_and_is_measured_with_them(compress, budget, on_this_machine, uncounted, tmp_path):
    """Its TensorRT is a fake that computes by ONNX Runtime: see fake_tensorrt."""
    if fake_tensorrt.COMPILER is None:
        pytest.skip("no C compiler: there is no fake CUDA runtime")
    python = fake_tensorrt.device_python(tmp_path / "jetson", "10.3.0", PYTHONPATH=str(uncounted))
    precisions = ("fp32", "fp16", "int8+fp16")
    target = on_this_machine("jetson-orin-nano", *(("tensorrt", precision) for precision in precisions))
    limits = budget(f"{BUDGET}[size]\nengine_bytes = 50_000_000\n")
    options = ["--ratio", "0.5", "--budget", limits, "--device", f"local:{python}", "--json"]
    ended = compress(tmp_path / "run", *options, target=target)
    assert ended.code == 0, ended.err
    document = ended.document
    assert document["reference"] == "baseline-tensorrt-fp32"
    # the fake's integers may be hopelessly slow
    raced = {gone["name"] for gone in document["choice"]["dropped"] if gone["why"].startswith("left out after a quick")}
    assert {one["name"] for one in document["tried"]} | raced == {
        "baseline-tensorrt-fp32",
        *(f"student-tensorrt-{precision}" for precision in precisions),
    }
    status = {limit["name"]: limit["status"] for limit in document["verdict"]["limits"]}
    assert status == {"latency.max_ratio": "pass", "size.engine_bytes": "pass", "accuracy.max_drop_pp": "pass"}
    measured = json.loads((ended.folder / "verdict/model.json").read_text())
    assert (measured["runtime"]["name"], measured["runtime"]["version"]) == ("tensorrt", "10.3.0")
    assert measured["engine_bytes"] > 0


def test_a_board_over_ssh_is_measured_and_evaluated_there(
    compress, budget, on_this_machine, *, sshd, uncounted, tmp_path
):
    target = on_this_machine("raspberry-pi-5", ("onnxruntime", "fp32"), ("onnxruntime", "int8"))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={uncounted} exec {sshd.python} "$@"\n')
    python.chmod(0o755)
    url = f"ssh://device{python}"
    options = ["--ratio", "0.5", "--budget", budget(BUDGET), "--device", url, "--json"]

    def measuring():
        # importing the runtime takes nearly as long, and all of a launch hardly 0.3
        spent = [agent.cpu_times().user for agent in sshd.agents()]
        return len(spent) > 1 and min(spent) > 0.2

    with Cutting(sshd, measuring):
        lost = compress(tmp_path / "run", *options, target=target)
    assert (lost.code in (ExitCode.INVALID, ExitCode.UNREACHABLE), lost.out) == (True, ""), lost.err  # or still loading
    assert f"the connection to {url} was lost" in lost.err.replace("\n", "")
    assert_nothing_left(sshd)
    ended = compress(tmp_path / "run", *options, target=target)
    assert ended.code == 0, ended.err
    assert ended.document["device"] == url
    assert (sshd.cache / "files").is_dir()
    assert_nothing_left(sshd)
    again = compress(tmp_path / "run", *options, target=target)
    assert (again.code, again.document["verdict"]) == (0, ended.document["verdict"])
