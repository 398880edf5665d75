"""What runs on GitHub: the workflows and the action pass a linter, and the action's steps are run here by bash."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jobs import bash, clone_of

ROOT = Path(__file__).parents[1]
CHECK, RELEASE = (
    yaml.safe_load((ROOT / ".github/workflows" / name).read_text()) for name in ("check.yml", "release.yml")
)
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
PYPROJECT = (ROOT / "pyproject.toml").read_text()


def test_the_linter_finds_nothing():
    """zizmor, of which no rule is switched off; actions that aren't GitHub's own would need a hash."""
    zizmor = [Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", "--strict-collection", ROOT]
    linted = subprocess.run(zizmor, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_every_supported_python_is_tested():
    tested = CHECK["jobs"]["tests"]["strategy"]["matrix"]["python"]
    stated = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
    assert tested == stated
    assert f'requires-python = ">={tested[0]}"' in PYPROJECT


def test_the_tools_that_the_check_calls_are_installed_by_it():
    rules = CHECK["jobs"]["rules"]["steps"]
    (installed,) = [step["run"] for step in rules if step.get("name") == "Install"]
    assert "dev" in installed
    for step in CHECK["jobs"]["tests"]["steps"]:
        assert step.get("run", "tools/test").startswith("tools/test")


def test_a_release_is_published_without_a_secret():
    publish = RELEASE["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "build"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_a_release_has_the_version_of_its_tag():
    (step,) = [step for step in RELEASE["jobs"]["build"]["steps"] if step.get("name") == "The tag is the version"]
    version = re.search(r'__version__ = "(.*)"', (ROOT / "edgekd/__init__.py").read_text())[1]
    assert bash(step["run"], ROOT, GITHUB_REF_NAME=f"v{version}").returncode == 0
    assert bash(step["run"], ROOT, GITHUB_REF_NAME="v9.9.9").returncode == 1


def test_no_input_becomes_a_part_of_a_script():
    assert not [step for step in ACTION["runs"]["steps"] if "${{" in step["run"]]


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize(("main", "change", "status"), [(12, 2, "pass"), (2, 12, "fail")])
def test_the_action_judges_a_change(tmp_path, model, *, main, change, status):
    clone = clone_of(tmp_path, model, main={"layers": main}, change={"layers": change})
    inputs = {name: stated.get("default", "") for name, stated in ACTION["inputs"].items()}
    inputs |= {"model": "models/model.onnx"}
    steps = [step for step in ACTION["runs"]["steps"] if step["name"] != "Install"]
    (tmp_path / "runner").mkdir()
    for step in steps:
        given = {key: inputs[value.split("inputs.")[1].rstrip(" }")] for key, value in step.get("env", {}).items()}
        runner = {"RUNNER_TEMP": str(tmp_path / "runner"), "GITHUB_BASE_REF": "main", "GITHUB_ACTIONS": "true"}
        ended = bash(step["run"], clone, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), **runner, **given)
    verdict = json.loads((clone / "verdict.json").read_text())["status"]
    # whoever else works on the machine that runs this test may disturb the measurement, and then it must say so
    assert (verdict, ended.returncode) in {(status, int(status == "fail")), ("invalid", 4)}, ended.stderr
    assert (tmp_path / "summary.md").read_text().startswith("###")
