"""`edgekd devices`: what devices need."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.options import Json
from edgekd.cli.panels import Command
from edgekd.console_progress import ConsoleProgress
from edgekd.errors import ExitCode

devices = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@devices.callback()
def _devices() -> None:
    """Prepare devices."""


@devices.command("bundle", cls=Command)
def bundle(
    *,
    arch: Annotated[str, typer.Option(metavar="NAME", help="The device's architecture: aarch64 or x86_64.")],
    python: Annotated[
        str | None, typer.Option(metavar="3.N", help="The version of Python (default: that of the apt sources).")
    ] = None,
    onnxruntime: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The version of ONNX Runtime (default: the newest).")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write it here, not to the user's cache, where devices get it from."),
    ] = None,
    json: Json = False,
) -> int:
    """Make what a device without Python runs: a folder with glibc, Python, numpy and ONNX Runtime.

    It is made from the packages of this system's apt sources and from wheels, and copied to a device that has no Python
    with the runtime when it is first used there, for example to a phone. It needs apt-get (Debian, Ubuntu).
    """
    from edgekd import catalog

    making = catalog.require("edgekd.devices.bundle.make")
    with ConsoleProgress() as progress:
        found, folder = making.make(making.Wanted(arch, python, onnxruntime), progress, out)
    console.json(found) if json else console.bundle(found, folder)
    return ExitCode.PASS
