"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
DeviceUrl = Annotated[
    str | None, typer.Option("--device", help="Which device: local: (default) or local:/path/to/python.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Write the JSON document to this file.")]
TargetName = Annotated[
    str, typer.Option("--target", help="What kind of device: a name (see `targets`) or a TOML file.")
]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="What relative limits and ratios refer to.")]

Threads = Annotated[int | None, typer.Option(min=1, help="Threads that an operator runs on; by default the target's.")]
Launches = Annotated[int | None, typer.Option(min=1, help="Fresh processes to measure in; 5 by default.")]
Seconds = Annotated[float | None, typer.Option(min=0.01, help="Timed seconds in each launch; 2 by default.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Size of a first axis that is left open; 1 by default.")]
Shapes = Annotated[
    list[str] | None, typer.Option("--shape", metavar="NAME=1x3x224x224", help="Of an input with open axes.")
]
Inputs = Annotated[Path | None, typer.Option(help="An .npz file with a value for each input; random ones by default.")]
Spinning = Annotated[bool | None, typer.Option(help="Whether waiting threads stay awake; they do by default.")]
Affinity = Annotated[str | None, typer.Option(metavar="0,1", help="The CPUs it may run on; all by default.")]
Provider = Annotated[str | None, typer.Option(help="The runtime's provider, such as CUDAExecutionProvider.")]
ProviderOptions = Annotated[
    list[str] | None, typer.Option("--provider-option", metavar="KEY=VALUE", help="An option of the provider.")
]
