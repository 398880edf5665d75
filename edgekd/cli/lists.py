"""`edgekd targets` and `edgekd budgets`: list, show, detect, validate; a budget made from a measurement."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd import console
from edgekd.cli.detect import detect
from edgekd.cli.options import Json
from edgekd.cli.panels import Command
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.gate.budget import Budget
    from edgekd.values import Target

targets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
budgets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
targets.command("detect", cls=Command)(detect)

Name = Annotated[str, typer.Argument(metavar="NAME|FILE", help="A name or a TOML file.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="TOML files.")]


@targets.callback()
def list_targets(context: typer.Context, json: Json = False) -> int:
    """List the kinds of devices; show one; find the one that a device matches; validate your own files."""
    from edgekd import catalog

    return ExitCode.PASS if _has_command(context, json) else _targets(catalog.targets(), console.targets, json)


@targets.command("show", cls=Command)
def show_target(name: Name, json: Json = False) -> int:
    """Show everything a target states."""
    from edgekd import catalog

    return _targets([catalog.target(name)], lambda found: console.settings(found[0]), json)


@targets.command("validate", cls=Command)
def validate_targets(files: Files) -> int:
    """Check that each file is a valid target.

    Exit codes: 0 all are valid, 2 one isn't.
    """
    from edgekd import catalog
    from edgekd.devices.recognition import require_possible
    from edgekd.values import Target
    from edgekd.variants import require_settings

    def require(file: Path) -> None:
        target = catalog.read_toml(file, Target, "Give the path of a TOML file.")
        require_settings(target)
        require_possible(target)

    return _validate(files, require)


@budgets.callback()
def list_budgets(context: typer.Context, json: Json = False) -> int:
    """List the budgets; show one; validate your own files; make one from a measurement."""
    from edgekd.gate import budget

    return ExitCode.PASS if _has_command(context, json) else _budgets(budget.known(), console.budgets, json)


@budgets.command("show", cls=Command)
def show_budget(name: Name, json: Json = False) -> int:
    """Show everything a budget states."""
    from edgekd.gate import budget

    return _budgets([budget.load(name)], lambda found: console.settings(found[0]), json)


@budgets.command("validate", cls=Command)
def validate_budgets(files: Files) -> int:
    """Check that each file is a valid budget.

    Exit codes: 0 all are valid, 2 one isn't.
    """
    from edgekd.gate import budget

    return _validate(files, lambda file: budget.require_limits(budget.read(file)))


@budgets.command("init", cls=Command)
def start_budget(
    *,
    measurement: Annotated[
        Path, typer.Option("--from", metavar="MEASUREMENT", help="A document that `edgekd profile --out` wrote.")
    ],
    headroom: Annotated[float, typer.Option(metavar="X", help="Limits are X times the measured values.")] = 1.25,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The budget's name (default: the file's, or the model's).")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a new file, not stdout.")] = None,
) -> int:
    """Write a commented budget that a measurement meets with some headroom."""
    from edgekd.files import write_text
    from edgekd.gate import start
    from edgekd.measuring.document import read_measurement

    if out and out.exists():
        raise EdgekdError(f"{out} already exists", "Give another --out, or remove the file.")
    found = read_measurement(measurement)
    text = start.start_budget(found, name=name or (out.stem if out else found.artifact.name), headroom=headroom)
    if out:
        write_text(out, text)
        console.note(f"wrote {out}")
    else:
        console.text(text)
    return ExitCode.PASS


def _has_command(context: typer.Context, json: bool) -> bool:
    """Whether a command such as `show` follows."""
    if context.invoked_subcommand and json:
        raise typer.BadParameter(f"write it after {context.invoked_subcommand!r}", param_hint="--json")
    return context.invoked_subcommand is not None


def _targets(found: "list[Target]", show: "Callable[[list[Target]], None]", json: bool) -> int:
    from edgekd.values import Targets

    console.json(Targets(targets=tuple(found))) if json else show(found)
    return ExitCode.PASS


def _budgets(found: "list[Budget]", show: "Callable[[list[Budget]], None]", json: bool) -> int:
    from edgekd.gate.budget import Budgets

    console.json(Budgets(budgets=tuple(found))) if json else show(found)
    return ExitCode.PASS


def _validate(files: Sequence[Path], read: Callable[[Path], object]) -> int:
    """Read each file: valid ones are named on stdout, errors go to stderr."""
    code = ExitCode.PASS
    for file in files:
        try:
            read(file)
        except EdgekdError as e:
            console.error(e)
            code = ExitCode.USAGE
        else:
            console.text(f"{file}: ok\n")
    return code
