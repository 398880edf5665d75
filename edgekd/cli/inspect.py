"""`edgekd inspect`: what is in a file."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.options import Json
from edgekd.cli.panels import OUTPUT
from edgekd.errors import ExitCode

File = Annotated[Path, typer.Argument(metavar="FILE", help="A model (.onnx, or ncnn's .param), whatever made it.")]
All = Annotated[bool, typer.Option("--all", help="Show all layers of a long table.", rich_help_panel=OUTPUT)]


def inspect(file: File, *, all_layers: All = False, json: Json = False) -> int:
    """Show what is in a model's file: lineage, layers, precisions, shapes, MACs, weights.

    Nothing is run, and external data is not read.

    Exit codes: 0 shown, 2 the file can't be read or isn't a model of either format.
    """
    from edgekd import catalog

    found = catalog.require("edgekd.pipeline.inspect").inspect(file)
    console.json(found) if json else console.inspection(found, all_layers=all_layers)
    return ExitCode.PASS
