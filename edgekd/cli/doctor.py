"""`edgekd doctor`: examine."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.options import DeviceUrl, Json
from edgekd.errors import ExitCode


def doctor(
    *,
    device: DeviceUrl = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Compare a model with itself: how small a difference can be told here?")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="The ONNX model to do it with; a small one by default.")] = None,
    json: Json = False,
) -> int:
    """Say what this machine and a device can do, and how noisy it is."""
    from edgekd import catalog

    with console.ConsoleProgress() as progress:
        examining = catalog.require("edgekd.pipeline.doctor")
        found = examining.doctor(device, noise=noise, model=model, progress=progress)
    console.json(found) if json else console.diagnosis(found)
    return ExitCode.PASS
