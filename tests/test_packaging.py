"""What a user installs: the wheel, in a clean venv outside the checkout, with nothing but the base dependencies."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of a venv's programs, with edgekd's wheel installed there."""
    folder = tmp_path_factory.mktemp("clean")
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", ROOT]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (wheel,) = (folder / "dist").glob("edgekd-*.whl")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "venv/bin"


def run(installed, cwd, *line):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return subprocess.run(
        [installed / line[0], *map(str, line[1:])], capture_output=True, text=True, cwd=cwd, env=clean, check=False
    )


def test_no_heavy_library_is_installed(installed, tmp_path):
    listed = json.loads(run(installed, tmp_path, "python", "-m", "pip", "list", "--format=json").stdout)
    names = {package["name"].lower() for package in listed}
    assert "edgekd" in names
    assert not names & {"torch", "torchvision", "torch-pruning", "onnxscript", "tensorrt"}


def test_targets_and_budgets_are_inside_the_wheel(installed, tmp_path):
    targets = run(installed, tmp_path, "edgekd", "targets", "--json")
    assert targets.returncode == 0, targets.stderr
    shipped = {path.stem for path in (ROOT / "targets").glob("*.toml")}
    assert {t["name"] for t in json.loads(targets.stdout)["targets"]} == shipped
    budgets = run(installed, tmp_path, "edgekd", "budgets", "--json")
    shipped = {path.stem for path in (ROOT / "profiles").glob("*.toml")}
    assert {b["name"] for b in json.loads(budgets.stdout)["budgets"]} == shipped


def test_profile_and_check_work_without_torch(installed, tmp_path, model):
    onnx = model("small")
    quick = ["--launches", "5", "--seconds", "0.1"]
    profiled = run(installed, tmp_path, "edgekd", "profile", onnx, "--target", "x86-cpu", *quick, "--out", "m.json")
    assert profiled.returncode == 0, profiled.stderr
    (tmp_path / "b.toml").write_text('name = "b"\n[latency]\nlimit_ms = 1000\n')
    checked = run(installed, tmp_path, "edgekd", "check", "m.json", "--budget", "b.toml")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("PASS")


def test_compress_names_the_extra_that_it_needs(installed, tmp_path):
    ended = run(installed, tmp_path, "edgekd", "compress", "--target", "x86-cpu")
    assert ended.returncode == 2
    assert "pip install 'edgekd[compress]'" in ended.stderr


def test_the_schemas_and_the_digits_are_inside_the_wheel(installed, tmp_path):
    program = (
        "from importlib.resources import files; f = files('edgekd');"
        "print(f.joinpath('schemas/result.json').is_file(), f.joinpath('data/digits.npz').is_file())"
    )
    assert run(installed, tmp_path, "python", "-c", program).stdout.split() == ["True", "True"]
