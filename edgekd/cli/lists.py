"""`edgekd targets` and `edgekd budgets`: list, show, validate; a budget made from a measurement."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd import console
from edgekd.cli.options import Json
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values import Budget, Target

targets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
budgets = typer.Typer(invoke_without_command=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="A name, or a TOML file.")]
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="TOML files.")]


@targets.callback()
def list_targets(context: typer.Context, json: Json = False) -> int:
    """The kinds of devices: list them; show one; validate files of your own."""
    from edgekd import catalog

    return ExitCode.PASS if _goes_on(context, json) else _targets(catalog.targets(), console.targets, json)


@targets.command("show")
def show_target(name: Name, json: Json = False) -> int:
    """Show all that a target states."""
    from edgekd import catalog

    return _targets([catalog.target(name)], lambda found: console.settings(found[0]), json)


@targets.command("validate")
def validate_targets(files: Files) -> int:
    """Say of each file whether it is a target. Ends in 2 if one isn't."""
    from edgekd import catalog
    from edgekd.values import Target

    return _validate(files, lambda file: catalog.read_toml(file, Target))


@budgets.callback()
def list_budgets(context: typer.Context, json: Json = False) -> int:
    """What a model must meet: list the budgets; show one; validate files of your own; make one from a measurement."""
    from edgekd import catalog

    return ExitCode.PASS if _goes_on(context, json) else _budgets(catalog.budgets(), console.budgets, json)


@budgets.command("show")
def show_budget(name: Name, json: Json = False) -> int:
    """Show all that a budget states."""
    from edgekd import catalog

    return _budgets([catalog.budget(name)], lambda found: console.settings(found[0]), json)


@budgets.command("validate")
def validate_budgets(files: Files) -> int:
    """Say of each file whether it is a budget. Ends in 2 if one isn't."""
    from edgekd import catalog
    from edgekd.gate.judge import require_limits
    from edgekd.values import Budget

    return _validate(files, lambda file: require_limits(catalog.read_toml(file, Budget)))


@budgets.command("init")
def start_budget(
    *,
    measurement: Annotated[Path, typer.Option("--from", metavar="MEASUREMENT", help="What `edgekd profile` wrote.")],
    headroom: Annotated[float, typer.Option(help="Limits are this many times what was measured.")] = 1.25,
    name: Annotated[str | None, typer.Option(help="The budget's name; by default the file's, or the model's.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this new file instead of stdout.")] = None,
) -> int:
    """Make a commented budget file that a measurement meets with some headroom."""
    from edgekd.files import write_text
    from edgekd.gate import start
    from edgekd.measuring.document import read_measurement

    if out and out.exists():
        raise EdgekdError(f"{out} exists already", "Give another --out, or remove the file.")
    found = read_measurement(measurement)
    text = start.start_budget(found, name=name or (out.stem if out else found.artifact.name), headroom=headroom)
    if out:
        write_text(out, text)
        console.note(f"wrote {out}")
    else:
        console.text(text)
    return ExitCode.PASS


def _goes_on(context: typer.Context, json: bool) -> bool:
    """Whether a command follows, which then does it all."""
    if context.invoked_subcommand and json:
        raise typer.BadParameter(f"give it after {context.invoked_subcommand!r}", param_hint="--json")
    return context.invoked_subcommand is not None


def _targets(found: "list[Target]", show: "Callable[[list[Target]], None]", json: bool) -> int:
    from edgekd.values import Targets

    console.json(Targets(targets=tuple(found))) if json else show(found)
    return ExitCode.PASS


def _budgets(found: "list[Budget]", show: "Callable[[list[Budget]], None]", json: bool) -> int:
    from edgekd.values import Budgets

    console.json(Budgets(budgets=tuple(found))) if json else show(found)
    return ExitCode.PASS


def _validate(files: Sequence[Path], read: Callable[[Path], object]) -> int:
    """Read each file: what is right goes to stdout, what is wrong to stderr."""
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
