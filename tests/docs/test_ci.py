"""The examples of docs/ci.md: their form, and their steps run by bash in a repository with two models."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jobs import bash, clone_of
from junitparser import JUnitXml

from edgekd.errors import ExitCode

pytestmark = pytest.mark.alone

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/ci.md").read_text()
# named by the comment that each begins with
FILES = {m[2]: m[3] for m in re.finditer(r"```(yaml|toml)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL)}
PULL_REQUEST, DEVICE, ACTION = (
    yaml.safe_load(FILES[f".github/workflows/{name}.yml"]) for name in ("model-budget", "device", "model-action")
)
GITLAB = yaml.safe_load(FILES[".gitlab-ci.yml"])["model-budget"]


def steps(workflow):
    (job,) = workflow["jobs"].values()
    return job["steps"]


def commands(workflow):
    """The steps that run edgekd or git, by name; who installs and uploads isn't run here."""
    return {step["name"]: step["run"] for step in steps(workflow) if re.match("edgekd|git", step.get("run", ""))}


def test_the_exit_codes_are_those_of_the_command():
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert told == {code.value for code in ExitCode}


def test_the_options_exist():
    wide = {**os.environ, "COLUMNS": "200"}
    asked = subprocess.run(
        [sys.executable, "-m", "edgekd", "check", "--help"], capture_output=True, text=True, env=wide, check=True
    )
    known = set(re.findall(r"--[\w-]+", asked.stdout))
    assert set(re.findall(r"`(--[\w-]+)", PAGE)) <= known
    for script in [*commands(PULL_REQUEST).values(), *commands(DEVICE).values(), *GITLAB["script"]]:
        words = shlex.split(script)
        if words[:2] == ["edgekd", "check"]:
            assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("workflow", [PULL_REQUEST, DEVICE, ACTION])
def test_a_workflow_is_one(workflow):
    assert set(workflow) <= {"name", True, "permissions", "concurrency", "jobs"}  # YAML 1.1 reads `on` as true
    assert workflow[True]
    (job,) = workflow["jobs"].values()
    assert {"runs-on", "steps"} <= set(job) <= {"runs-on", "steps", "timeout-minutes"}
    for step in job["steps"]:
        assert set(step) <= {"name", "uses", "run", "with", "if", "env"}
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|main)", step.get("uses", "x/x@v1"))
        # what a pull request's author writes must not become a part of the script
        assert "${{" not in step.get("run", "")


def test_the_gitlab_job_is_one():
    assert set(GITLAB) == {"image", "rules", "before_script", "script", "retry", "allow_failure", "artifacts"}
    assert all(isinstance(line, str) for line in GITLAB["before_script"] + GITLAB["script"])
    assert GITLAB["artifacts"]["when"] == "always"
    assert GITLAB["retry"]["exit_codes"] == [ExitCode.INVALID, ExitCode.UNREACHABLE]
    assert GITLAB["allow_failure"]["exit_codes"] == [ExitCode.INCONCLUSIVE]


def test_edgekd_is_installed_as_the_readme_says():
    section = (ROOT / "README.md").read_text().partition("## Install\n")[2].partition("\n## ")[0]
    lines = {line.partition("#")[0].strip() for line in section.splitlines()}
    assert next(step["run"] for step in steps(PULL_REQUEST) if step.get("name") == "Install") in lines
    (line,) = GITLAB["before_script"]
    assert line in lines


@pytest.fixture
def repository(tmp_path, model):
    """A clone with the page's files, whose branch holds another model than its origin's main branch."""

    def make(*, main, change):
        return clone_of(tmp_path, model, main=main, change=change, files=FILES)

    return make


def undisturbed(job):
    """What the last step of a job gave: others may disturb what it measures, and then it starts again, at most twice.

    The job is given the name of a new folder each time.
    """
    for folder in ("first", "second", "third"):
        ended, *more = job(folder)
        if ended.returncode != ExitCode.INVALID:
            break
    return ended, *more


def github(workflow, repository, folder):
    """What the last of a workflow's steps gave, and its summary."""
    temporary, summary = folder / "runner", folder / "summary.md"
    temporary.mkdir(parents=True)
    summary.touch()
    (job,) = workflow["jobs"].values()
    ended = None
    for script in commands(workflow).values():
        assert ended is None or ended.returncode == 0, ended.stderr
        ended = bash(
            script,
            repository,
            GITHUB_ACTIONS="true",
            GITHUB_BASE_REF="main",
            RUNNER_ENVIRONMENT="github-hosted" if job["runs-on"] == "ubuntu-latest" else "self-hosted",
            RUNNER_TEMP=str(temporary),
            GITHUB_STEP_SUMMARY=str(summary),
        )
    return ended, summary.read_text()


SMALL, LARGE = {"layers": 2}, {"layers": 12, "channels": 32}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("main", "change", "code", "kind", "mark"), [(LARGE, SMALL, 0, "notice", "✅"), (SMALL, LARGE, 1, "error", "❌")]
)
def test_a_pull_request_is_judged_against_the_main_branch(repository, tmp_path, *, main, change, code, kind, mark):
    clone = repository(main=main, change=change)
    ended, summary = undisturbed(lambda folder: github(PULL_REQUEST, clone, tmp_path / folder))
    assert ended.returncode == code, ended.stderr
    assert re.search(rf"^::{kind} title=\S*model\S* on no-slower", ended.stderr, re.MULTILINE)
    assert summary.startswith(f"### {mark}")
    uploaded = next(step["with"]["path"].split() for step in steps(PULL_REQUEST) if "upload" in step.get("uses", ""))
    assert json.loads((clone / uploaded[0]).read_text())["status"] == ("pass", "fail")[code]
    assert sum(suite.failures for suite in JUnitXml.fromfile(str(clone / uploaded[1]))) == code


@pytest.mark.slow
def test_a_merge_request_is_judged_against_its_target(repository):
    clone = repository(main=SMALL, change=LARGE)
    script, variables = "\n".join(GITLAB["script"]), {"CI": "true", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}
    (ended,) = undisturbed(lambda _: (bash(script, clone, **variables),))
    assert ended.returncode == 1, ended.stderr
    artifacts = GITLAB["artifacts"]
    assert all((clone / path).is_file() for path in artifacts["paths"])
    assert (clone / "summary.md").read_text().startswith("### ❌ fail")
    (suite,) = JUnitXml.fromfile(str(clone / artifacts["reports"]["junit"]))
    assert suite.failures == 1


@pytest.mark.slow
def test_a_device_is_judged_by_itself_and_the_trackers_are_fed(repository, tmp_path):
    clone = repository(main=LARGE, change=SMALL)
    ended, summary = github(DEVICE, clone, tmp_path)
    # whoever else works on the machine that runs this test may disturb the measurement, and then it must say so
    assert ended.returncode in (ExitCode.PASS, ExitCode.INVALID), ended.stderr
    valid = ended.returncode == ExitCode.PASS
    assert summary.startswith("### ✅ pass: model on budget frame" if valid else "### ⚠️ invalid: model on budget frame")
    assert json.loads((clone / "badge.json").read_text())["color"] == ("brightgreen" if valid else "orange")
    (suite,) = JUnitXml.fromfile(str(clone / "junit.xml"))
    assert (suite.failures, suite.errors) == (0, 0 if valid else 1)
    measures = json.loads((clone / "bencher.json").read_text())["model"]
    entries = {entry["name"] for entry in json.loads((clone / "benchmarks.json").read_text())}
    assert "file-size" in measures
    assert ("latency" in measures) == ("model: p95" in entries) == valid
    told = " ".join(json.dumps(step) for step in steps(DEVICE) if "edgekd" not in step.get("run", ""))
    assert all(file in told for file in ("bencher.json", "benchmarks.json"))
