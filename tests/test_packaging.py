"""What a user installs: the wheel, in a clean venv outside the checkout, with nothing but the base dependencies."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import edgekd

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What a release uploads, as the release workflow builds it: the sdist, and the wheel made of it."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The folder of a venv's programs, with edgekd's wheel installed there."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (wheel,) = built.glob("edgekd-*.whl")
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "venv/bin"


def run(installed, cwd, *line, **variables):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | variables
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


def test_profile_and_check_work_without_torch(installed, tmp_path, model, uncounted):
    quick = ["--target", "x86-cpu", "--launches", "5", "--seconds", "0.1", "--out", "m.json"]
    profiled = run(installed, tmp_path, "edgekd", "profile", model("small"), *quick, PYTHONPATH=str(uncounted))
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


def test_pypi_takes_what_is_built(built):
    twine = [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()]
    checked = subprocess.run(twine, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count("PASSED") == 2


def test_the_wheel_holds_the_package_and_nothing_else(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"edgekd-{edgekd.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"edgekd-{edgekd.__version__}.dist-info/METADATA").decode()
    assert {name.partition("/")[0] for name in names} == {"edgekd", f"edgekd-{edgekd.__version__}.dist-info"}
    assert {
        "edgekd/py.typed",
        "edgekd/api.py",
        "edgekd/targets/x86-cpu.toml",
        "edgekd/profiles/no-slower.toml",
    } <= names
    source = {str(path.relative_to(ROOT)) for path in (ROOT / "edgekd").rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == source
    assert not {name for name in names if "__pycache__" in name}
    assert "License-Expression: Apache-2.0" in metadata
    assert "Description-Content-Type: text/markdown" in metadata


def test_the_sdist_has_what_the_tests_and_the_site_need(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "zensical.toml",
        "action.yml",
        "CITATION.cff",
        ".github/workflows/check.yml",
        "docs/tutorial.md",
        "tools/test",
    }
    assert needed <= names
    assert not {name for name in names if name.startswith((".venv", "runs/", ".mypy_cache"))}


def test_the_program_is_called_as_the_package(installed, tmp_path):
    """What `uvx edgekd --help` and `pipx run edgekd` need."""
    shown = run(installed, tmp_path, "edgekd", "--help")
    assert shown.returncode == 0
    assert shown.stdout.startswith("Usage: edgekd [OPTIONS] COMMAND")
    assert run(installed, tmp_path, "edgekd", "--version").stdout == f"edgekd {edgekd.__version__}\n"


def test_import_edgekd_is_fast_and_complete(installed, tmp_path):
    program = "import sys, edgekd; print(edgekd.check.__name__, edgekd.EdgekdError.__name__, 'numpy' in sys.modules)"
    assert run(installed, tmp_path, "python", "-c", program).stdout.split() == ["check", "EdgekdError", "False"]
