"""The command line: parse, call one verb, show the result, exit with its code.

Function bodies import what they need, so that `edgekd --help` imports only typer.
"""

import sys
from typing import Annotated

import typer

import edgekd
from edgekd import streams
from edgekd.cli.check import check
from edgekd.cli.compress import compress
from edgekd.cli.devices import devices
from edgekd.cli.doctor import doctor
from edgekd.cli.export import export
from edgekd.cli.inspect import inspect
from edgekd.cli.lists import budgets, targets
from edgekd.cli.panels import WIDTH, Command, Verb
from edgekd.cli.profile import profile
from edgekd.cli.report import report
from edgekd.cli.study import study
from edgekd.failures import run

app = typer.Typer(
    name="edgekd",
    help="Make a trained CNN fit a device, and measure it there.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
for verb in (compress, export, profile, check):
    app.command(cls=Verb)(verb)
for command in (report, inspect):
    app.command(cls=Command)(command)
app.command(cls=Verb)(doctor)
app.add_typer(study, name="study")
app.add_typer(devices, name="devices")
app.add_typer(targets, name="targets")
app.add_typer(budgets, name="budgets")


def main() -> None:
    """The `edgekd` command. Exit code 1 means a missed budget and nothing else."""
    streams.open_all()
    code = run(lambda: app(standalone_mode=False))
    streams.close_stdout()
    sys.exit(code)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"edgekd {edgekd.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Options before the command."""
