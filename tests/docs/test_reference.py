"""docs/reference/ is what the code says today, and says something of every key."""

import importlib.util

import pytest
from pages import ROOT

from edgekd.gate.budget import Budget
from edgekd.values import Recipe, Target


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "tools" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_those_of_the_code(tool):
    for name, text in tool.pages().items():
        page = ROOT / "docs" / "reference" / f"{name}.md"
        assert page.read_text(encoding="utf-8") == text, "run python tools/reference.py"


@pytest.mark.parametrize("kind", [Budget, Recipe, Target])
def test_every_key_is_explained(tool, kind):
    rows = [row for row in tool.table(kind, "x") if row.startswith("| `")]
    assert len(rows) > 15
    assert not [row for row in rows if row.endswith("|  |")]


def test_every_command_has_its_help(tool):
    page = tool.pages()["cli"]
    for command in ("compress", "export", "profile", "check", "inspect", "doctor", "study run", "devices bundle"):
        assert f"\n## edgekd {command}\n" in page
    assert "--recipe" in page
