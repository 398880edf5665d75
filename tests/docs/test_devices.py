"""Every command of edgekd that the README and the page on devices show has options, targets and budgets that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from edgekd import catalog, cli
from edgekd.gate import budget

ROOT = Path(__file__).parents[2]


def commands(page):
    fences = re.findall(r"^```\w*\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    lines = [line.removeprefix("$ ") for fence in fences for line in fence.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("edgekd ")]


SHOWN = [line for page in ("README.md", "docs/devices.md", "docs/export.md") for line in commands(page)]


def parsed(line):
    """The command's values, without running it."""
    command, context, left = typer.main.get_command(cli.app), None, line[1:]
    while hasattr(command, "resolve_command") and left:
        context = command.make_context("edgekd", left, parent=context)
        left = [*context._protected_args, *context.args]
        if not left:
            break
        _, command, left = command.resolve_command(context, left)
    return command.make_context(" ".join(line), left, parent=context).params if left else {}


@pytest.mark.parametrize("line", SHOWN, ids=" ".join)
def test_a_shown_command_is_one(line):
    given = parsed(line)
    if given.get("target"):
        catalog.target(given["target"])
    if given.get("budget") and not str(given["budget"]).endswith(".toml"):
        budget.load(str(given["budget"]))


def test_many_are_looked_at():
    assert len(SHOWN) > 30
