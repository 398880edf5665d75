"""Every command that the README and the pages show: its options exist, and it is run here, or says why not.

The comment above a block decides (`pages.Fence.mark`). Blocks of a page are run in order in one folder, which
has `tools/` of the checkout, `model.onnx`, `original.onnx`, `other.onnx` and `int8.onnx`, and `measurement.json`.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pages import PAGES, ROOT, SHELL, Fence, fences

from edgekd import catalog, cli
from edgekd.errors import ExitCode
from edgekd.gate import budget
from edgekd.measuring.document import write

LINES = sorted({line for fence in SHELL for line in fence.commands if line.startswith("edgekd ")})
RUN = {
    page: [f for f in SHELL if f.page == page and not f.mark.startswith("not run")] for page in {f.page for f in SHELL}
}
_MEASURING = ("edgekd profile", "edgekd check", "edgekd compress")
SHORTLY = """
#!/bin/sh
case $1 in
profile) set -- "$@" --launches 2 --seconds 0.1;;
compress) set -- "$@" --recipe {recipe};;
esac
exec {edgekd} "$@"
"""
TUTORIAL = "docs/tutorial.md"
SHORT = (TUTORIAL, "docs/profile.md")
"""Pages whose commands measure less long here: how long is what other tests are about."""


def parsed(line):
    """The command's values, without running it."""
    command, context, left = typer.main.get_command(cli.app), None, shlex.split(line, comments=True)[1:]
    while hasattr(command, "resolve_command") and left:
        context = command.make_context("edgekd", left, parent=context)
        left = [*context._protected_args, *context.args]
        if not left:
            break
        _, command, left = command.resolve_command(context, left)
    return command.make_context(" ".join(left), left, parent=context).params if left else {}


@pytest.mark.parametrize("line", LINES)
def test_a_shown_command_is_one(line):
    given = parsed(line)
    if given.get("target"):
        catalog.target(given["target"])
    if given.get("budget") and not str(given["budget"]).endswith(".toml"):
        budget.load(str(given["budget"]))


def test_many_are_looked_at():
    assert len(LINES) > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_what_it_is(page):
    assert all(fence.kind for fence in fences(page))


@pytest.mark.parametrize("fence", SHELL, ids=lambda fence: f"{fence.page}: {fence.text.splitlines()[0]}")
def test_a_block_of_commands_is_run_or_says_why_not(fence: Fence):
    assert re.fullmatch(r"run|run: any verdict|not run: .{10,}", fence.mark)
    for path in re.findall(r"tests/[\w/.]+", fence.mark):
        assert (ROOT / path).exists(), path


@pytest.fixture
def folder(tmp_path, model, measurement):
    """What the commands of a page find."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "tools").symlink_to(ROOT / "tools")
    shutil.copy(model("model", layers=2), place)
    for name in ("original", "other", "int8"):
        shutil.copy(model(name, layers=6), place)
    write(place / "measurement.json", measurement())
    return place


def allowed(line, mark):
    """Exit codes: whoever else works on the machine may disturb a measurement, and then it must say so."""
    verdicts = {ExitCode.PASS, ExitCode.OVER_BUDGET, ExitCode.INCONCLUSIVE, ExitCode.INVALID}
    if mark == "run: any verdict":
        return verdicts
    disturbed = {ExitCode.INCONCLUSIVE, ExitCode.INVALID} if line.startswith(_MEASURING) else set()
    return {ExitCode.PASS, *disturbed}


@pytest.fixture
def shortly(tmp_path):
    """A folder whose `edgekd` is the real one, with a short protocol."""
    recipe, program = tmp_path / "short.toml", tmp_path / "bin" / "edgekd"
    recipe.write_text("[measure]\nlaunches = 3\nseconds = 0.3\nblock_seconds = 0.02\nwarmup_seconds = 0.3\n")
    program.parent.mkdir()
    program.write_text(SHORTLY.lstrip().format(recipe=recipe, edgekd=Path(sys.executable).parent / "edgekd"))
    program.chmod(0o755)
    return program.parent


def run_page(page, folder, *first):
    """Run the commands of a page, with these folders first in PATH; a line that others disturbed up to three times."""
    path = os.pathsep.join([*map(str, first), str(Path(sys.executable).parent), os.environ["PATH"]])
    for fence in RUN[page]:
        for line in fence.commands:
            for _ in range(3):
                ended = subprocess.run(
                    ["bash", "-c", line],
                    cwd=folder,
                    env={**os.environ, "PATH": path},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if ended.returncode != ExitCode.INVALID:
                    break
            assert ended.returncode in allowed(line, fence.mark), f"{line}\n{ended.stdout}\n{ended.stderr}"
            if ended.returncode == ExitCode.INVALID:  # what follows may read what was to be measured
                pytest.skip(f"{line}: the machine is disturbed: {ended.stderr[-300:]}")


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("page", sorted(page for page, found in RUN.items() if found and page != TUTORIAL))
def test_the_commands_of_a_page_do_what_it_says(page, folder, shortly):
    run_page(page, folder, *([shortly] if page in SHORT else []))


@pytest.mark.slow
@pytest.mark.usefixtures("undisturbed")
def test_the_commands_of_the_tutorial_do_what_it_says(folder, shortly):
    run_page(TUTORIAL, folder, shortly)
