"""`edgekd doctor`: examine."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd import console
from edgekd.cli.options import DevicesFile, DeviceUrl, Json, WaitMinutes
from edgekd.cli.panels import MEASURING
from edgekd.cli.working import working
from edgekd.errors import ExitCode


def doctor(
    *,
    device: DeviceUrl = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    noise: Annotated[
        bool,
        typer.Option(
            "--noise",
            help="Compare a model with itself: the least difference that can be measured.",
            rich_help_panel=MEASURING,
        ),
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="ONNX model for --noise (default: a small one).", rich_help_panel=MEASURING),
    ] = None,
    json: Json = False,
) -> int:
    """Report what this machine and a device can do, and how precisely they measure."""
    from edgekd import catalog
    from edgekd.devices import listed

    with working() as progress:
        examining = catalog.require("edgekd.pipeline.doctor")
        url = listed.only(device or (), devices).url
        found = examining.doctor(url, noise=noise, model=model, wait_s=60 * (wait or 0), progress=progress)
    console.json(found) if json else console.diagnosis(found)
    return ExitCode.PASS
