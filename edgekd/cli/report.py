"""`edgekd report`: a page to look at and to hand on."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.panels import OUTPUT
from edgekd.errors import ExitCode

Given = Annotated[
    list[Path], typer.Argument(metavar="RUN|MEASUREMENT...", help="A run's folder, or measurements (.json).")
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The page (default: report.html in the run's folder).", rich_help_panel=OUTPUT),
]
Compare = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN|MEASUREMENT", help="Put another one beside it, what differs first.", rich_help_panel=OUTPUT
    ),
]
Open = Annotated[bool, typer.Option("--open", help="Show the page in the browser.", rich_help_panel=OUTPUT)]


def report(given: Given, *, compare: Compare = None, out: Out = None, show: Open = False) -> int:
    """Write what a run or measurements found as one HTML file, which needs nothing else.

    Exit codes: 0 written, 2 what is given can't be read or compared.
    """
    from edgekd import catalog

    page = catalog.require("edgekd.pipeline.reports").report(given, out, compare=compare)
    console.note(f"wrote {page}")
    if show:
        import webbrowser

        webbrowser.open(page.absolute().as_uri())
    return ExitCode.PASS
