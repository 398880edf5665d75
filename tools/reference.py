"""Write docs/reference/ from the code: `python tools/reference.py`."""

import ast
import inspect
import os
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).parent))
from keys import Rows, inline, keys, shown, table, text
from schemas import DOCUMENTS

import edgekd
from edgekd import catalog, cli
from edgekd.gate.budget import Budget
from edgekd.pruning.criteria._base import CRITERIA
from edgekd.runtimes._base import RUNTIMES
from edgekd.search._base import SEARCHES
from edgekd.steps._base import STEPS
from edgekd.training.losses._base import LOSSES
from edgekd.values import Recipe, Target

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
WIDTH = 100


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, page in pages().items():
        (FOLDER / f"{name}.md").write_text(page, encoding="utf-8")


def pages() -> dict[str, str]:
    """The text of each page."""
    made = {
        "cli": _cli,
        "recipe": _recipe,
        "target": _target,
        "budget": _budget,
        "documents": _documents,
        "python": _python,
    }
    return {name: "\n".join(make()).rstrip("\n") + "\n" for name, make in made.items()}


def _cli() -> Rows:
    os.environ["COLUMNS"] = str(WIDTH)
    yield "# Command line\n\nWhat `edgekd COMMAND --help` prints. Exit codes: [CI](../ci.md).\n"
    yield from _helps(typer.main.get_command(cli.app), "edgekd", None)


def _helps(command: Any, name: str, parent: Any) -> Rows:
    context = command.context_class(command, info_name=name.split()[-1], parent=parent, **command.context_settings)
    yield f"## {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    for each in command.list_commands(context) if hasattr(command, "list_commands") else ():
        yield from _helps(command.get_command(context, each), f"{name} {each}", context)


def _recipe() -> Rows:
    yield "# Recipe\n\nThe keys of a recipe's TOML file; [recipes](../recipes.md) explains them."
    yield "What is required may be given by options instead. None: the key is absent.\n"
    yield from table(Recipe, "recipe")
    for kind, where in (
        (STEPS, "a table of `steps`"),
        (SEARCHES, "`[search.options]`"),
        (CRITERIA, "`[prune.options]`"),
    ):
        yield f"## {kind.noun.capitalize()}: settings\nIn {where}.\n"
        for name in catalog.names(kind):
            module = catalog.load(kind, name)
            settings = getattr(module, "Settings", None) or module.Options
            yield f"- `{name}`: {inline(settings)}. {_first(module)}"
        yield ""
    yield "## Losses: settings\nIn `[recover.losses]`, beside `weight` (1).\n"
    for name in catalog.names(LOSSES):
        options = ", ".join(f"`{key}` = {value:g}" for key, value in catalog.load(LOSSES, name).OPTIONS.items())
        yield f"- `{name}`: {options or 'none'}. {_first(catalog.load(LOSSES, name))}"


def _target() -> Rows:
    yield "# Target\n\nThe keys of a target's TOML file; [targets](../targets.md) explains them.\n"
    yield from table(Target, "target")
    yield "## Settings of runtimes\nIn `settings` of a variant.\n"
    yield "| runtime | setting | default | sets |\n|---|---|---|---|"
    for name in catalog.names(RUNTIMES):
        for key, setting in catalog.load(RUNTIMES, name).SETTINGS.items():
            yield f"| {name} | `{key}` | {shown(setting['default'])} | {setting['help']} |"


def _budget() -> Rows:
    yield "# Budget\n\nThe keys of a budget's TOML file; [budgets](../budgets.md) explains how they are judged.\n"
    yield from table(Budget, "budget")


def _documents() -> Rows:
    yield "# JSON documents\n\nWhat `--json` prints and files hold."
    yield "Each has a JSON Schema in `edgekd/schemas/`, which is installed with edgekd.\n"
    for name, kind in DOCUMENTS.items():
        version = kind.model_fields["schema_version"].default
        yield f"## {name}\n`{version}`, schema `edgekd/schemas/{name}.json`. {text(kind)}\n"
        yield from keys(kind)
        yield ""


def _python() -> Rows:
    yield f"# Python\n\n{text(edgekd)}\n"
    for name in edgekd.__all__:
        found = getattr(edgekd, name)
        if inspect.isfunction(found):
            yield f"## {name}\n\n```python\n{_signature(name, found)}\n```\n\n{_paragraphs(found)}\n"
        elif inspect.isclass(found):
            yield f"## {name}\n{_paragraphs(found)}\n"


def _signature(name: str, function: Any) -> str:
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(node, ast.FunctionDef)
    node.body, node.name = [ast.Expr(ast.Constant(...))], name
    shown = ast.unparse(node).partition(":\n")[0]
    return (
        shown
        if len(shown) < WIDTH
        else shown.replace("(", "(\n    ", 1).replace(", ", ",\n    ").replace(") ->", ",\n) ->")
    )


def _paragraphs(found: Any) -> str:
    """A docstring as Markdown: its sections `Args:` and `Raises:` as lists."""
    lines = []
    for line in (inspect.getdoc(found) or "").splitlines():
        title = line.rstrip(":")
        if title in {"Args", "Raises", "Returns"} and line.endswith(":"):
            lines += [f"**{title}**", ""]
        elif line.startswith("    ") and not line.startswith("     ") and ": " in line:
            key, _, text = line.strip().partition(": ")
            lines.append(f"- {key}: {text}" if "`" in key else f"- `{key}`: {text}")
        else:
            lines.append(line)
    return "\n".join(lines)


def _first(module: ModuleType | Any) -> str:
    return " ".join(text(module).partition("\n\n")[0].split())


if __name__ == "__main__":
    main()
