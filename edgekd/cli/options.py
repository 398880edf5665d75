"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.panels import BUDGET, DATA, DEVICE, MEASURING, OUTPUT

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document, and nothing else, on stdout.", rich_help_panel=OUTPUT)
]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write the JSON document here.", rich_help_panel=OUTPUT)
]

TargetName = Annotated[
    str,
    typer.Option(
        "--target", metavar="NAME|FILE", help="The kind of device; `edgekd targets` lists them.", rich_help_panel=DEVICE
    ),
]
DeviceUrl = Annotated[
    list[str] | None,  # a second one is refused, not dropped
    typer.Option(
        "--device",
        metavar="URL|NAME",
        help="local:[PYTHON] (default), ssh://[USER@]HOST[:PORT][/PYTHON], adb://SERIAL, a name in devices.toml.",
        rich_help_panel=DEVICE,
    ),
]
DeviceUrls = Annotated[
    list[str] | None,
    typer.Option(
        "--device",
        metavar="URL|NAME|tag:TAG",
        help="As `edgekd devices` lists them (default: local:); repeatable.",
        rich_help_panel=DEVICE,
    ),
]
DevicesFile = Annotated[
    Path | None,
    typer.Option("--devices", metavar="FILE", help="Your devices.toml.", rich_help_panel=DEVICE),
]
WaitMinutes = Annotated[
    float | None,
    typer.Option(
        "--wait",
        min=0,
        metavar="MINUTES",
        help="Wait at most this long for a device in use; inf: no limit.",
        rich_help_panel=DEVICE,
    ),
]
Baseline = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The original model or its measurement.", rich_help_panel=BUDGET),
]

DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder with data sets; also $EDGEKD_DATA.", rich_help_panel=DATA),
]
Download = Annotated[
    bool, typer.Option("--download", help="Download the data set if it is missing.", rich_help_panel=DATA)
]

Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Threads within an operator (default: the target's).",
        rich_help_panel=MEASURING,
    ),
]
Launches = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Fresh processes to measure in (default: 5).", rich_help_panel=MEASURING),
]
Seconds = Annotated[
    float | None,
    typer.Option(min=0.01, metavar="S", help="Timed seconds in each launch (default: 2).", rich_help_panel=MEASURING),
]
Batch = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Batch size, where the model leaves it open (default: 1).",
        rich_help_panel=MEASURING,
    ),
]
Shapes = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="NAME=1x3x224x224",
        help="Shape of an input with open axes; repeatable.",
        rich_help_panel=MEASURING,
    ),
]
Inputs = Annotated[
    Path | None,
    typer.Option(metavar="FILE.npz", help="A value for each input (default: random ones).", rich_help_panel=MEASURING),
]
Spinning = Annotated[
    bool | None, typer.Option(help="Let waiting threads spin (default: yes).", rich_help_panel=MEASURING)
]
Transfers = Annotated[
    bool | None,
    typer.Option(help="Count copies to and from an accelerator (default: yes).", rich_help_panel=MEASURING),
]
Affinity = Annotated[
    str | None,
    typer.Option(metavar="0,1", help="CPUs to run on (default: chosen by the threads).", rich_help_panel=MEASURING),
]
CheckedVariants = Annotated[
    list[str] | None,
    typer.Option(
        "--variant",
        metavar="NAME",
        help="The target's variant to run in; a second is the baseline's.",
        rich_help_panel=MEASURING,
    ),
]
Provider = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The runtime's provider, such as CUDAExecutionProvider.", rich_help_panel=MEASURING
    ),
]
ProviderOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--provider-option",
        metavar="KEY=VALUE",
        help="An option of the provider; repeatable.",
        rich_help_panel=MEASURING,
    ),
]
