import re

import pytest
import typer
from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.cli.panels import loudness


def commands(group=app, path=()):
    """Every command that has a --help, from the root."""
    command = typer.main.get_command(group) if isinstance(group, typer.Typer) else group
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, (*path, name))


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_help_fits_one_screen(path):
    found = CliRunner().invoke(app, [*path, "--help"], terminal_width=100)
    lines = found.stdout.splitlines()
    assert found.exit_code == 0
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100


def test_help_shows_options_in_panels():
    found = CliRunner().invoke(app, ["compress", "--help"], terminal_width=100).stdout
    titles = [line.removesuffix(":") for line in found.splitlines() if re.fullmatch(r"[A-Z][\w ]+:", line)]
    assert titles == ["Model", "Data", "Target and device", "Compression", "Training", "Output"]
    assert found.index("Training:") < found.index("--seed") < found.index("Output:") < found.index("--help")


VERBS = (["compress"], ["export"], ["profile"], ["check"], ["doctor"], ["study", "run"], ["devices", "bundle"])


def test_every_verb_that_works_can_be_quiet_or_verbose():
    for path in commands():
        shown = CliRunner().invoke(app, [*path, "--help"], terminal_width=100).stdout
        assert ("-q, --quiet / -v, --verbose" in shown) is (list(path) in VERBS), path


@pytest.mark.parametrize(("option", "asked"), [("-q", "quiet"), ("--verbose", "verbose"), ("--json", "normal")])
def test_a_verb_is_as_loud_as_it_is_asked_to_be(monkeypatch, option, asked):
    heard = []
    monkeypatch.setattr("edgekd.pipeline.doctor.doctor", lambda *_, **__: heard.append(loudness.get()))
    CliRunner().invoke(app, ["doctor", option])
    assert heard == [asked]
    assert loudness.get() == "normal"
