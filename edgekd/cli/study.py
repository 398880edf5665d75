"""`edgekd study`: the literature's comparisons: list, show, run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd import console
from edgekd.cli.options import DataRoot, DeviceUrl, Download, Json, TargetName
from edgekd.cli.panels import DATA, OUTPUT, TRAINING, Command, Verb
from edgekd.cli.working import working
from edgekd.errors import ExitCode

if TYPE_CHECKING:
    from edgekd.studies._results import Overview

study = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Compare the methods of the literature: list, show, run."
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The study; `edgekd study list` lists them.")]
ScaleName = Annotated[
    str,
    typer.Option(
        "--scale",
        metavar="SCALE",
        help="smoke (minutes), small (an hour, two cores) or paper (a GPU).",
        rich_help_panel=TRAINING,
    ),
]
Seeds = Annotated[
    int, typer.Option("--seeds", min=1, metavar="N", help="Random seeds for each arm.", rich_help_panel=TRAINING)
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs", min=1, metavar="N", help="Epochs of each arm (default: the scale's).", rich_help_panel=TRAINING
    ),
]
TeacherEpochs = Annotated[
    int | None,
    typer.Option(
        "--teacher-epochs",
        min=1,
        metavar="N",
        help="Epochs of each teacher (default: the scale's).",
        rich_help_panel=TRAINING,
    ),
]


@study.command("list", cls=Command)
def list_studies(*, scale: ScaleName = "smoke", seeds: Seeds = 3, json: Json = False) -> int:
    """List the studies and what each costs at a scale."""
    from edgekd import catalog
    from edgekd.studies._base import STUDIES
    from edgekd.studies._results import Overviews

    found = [_overview(name, scale, seeds) for name in catalog.names(STUDIES)]
    console.json(Overviews(studies=tuple(found))) if json else console.studies(found)
    return ExitCode.PASS


@study.command("show", cls=Command)
def show_study(
    name: Name,
    *,
    scale: ScaleName = "smoke",
    seeds: Seeds = 3,
    epochs: Epochs = None,
    teacher_epochs: TeacherEpochs = None,
    json: Json = False,
) -> int:
    """Show what a study compares, what its paper reports, and about how long it takes."""
    from edgekd.studies._results import Overviews

    found = _overview(name, scale, seeds, epochs, teacher_epochs)
    console.json(Overviews(studies=(found,))) if json else console.overview(found)
    return ExitCode.PASS


@study.command("run", cls=Verb)
def run_study(
    name: Name,
    *,
    scale: ScaleName = "smoke",
    seeds: Seeds = 3,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="digits, fashion-mnist, folder:PATH … (default: the scale's).",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    epochs: Epochs = None,
    teacher_epochs: TeacherEpochs = None,
    target: TargetName = "x86-cpu",
    device: DeviceUrl = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Study folder. Run the same command again to resume.", rich_help_panel=OUTPUT
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Run or resume a study: train every arm with every seed, then write the tables and plots.

    Exit codes: 0 all cells are done, 3 some failed.
    """
    from edgekd import catalog
    from edgekd.devices import listed
    from edgekd.files import require_utf8
    from edgekd.studies import _overview

    settings = _overview.scaled(_overview.study(name), scale, epochs=epochs, teacher_epochs=teacher_epochs)
    folder = out or Path("studies") / f"{name}-{scale}"
    require_utf8("--out", str(folder.absolute()))
    with working(folder) as progress:
        result = catalog.require("edgekd.studies.run").run_study(
            name,
            settings,
            folder,
            seeds=seeds,
            target=target,
            data=data,
            device_url=listed.only(device).url if device else None,
            data_root=data_root,
            download=download,
            progress=progress,
        )
    console.json(result) if json else console.study_result(result)
    return ExitCode.INCONCLUSIVE if result.failures else ExitCode.PASS


def _overview(
    name: str, scale: str, seeds: int, epochs: int | None = None, teacher_epochs: int | None = None
) -> "Overview":
    from edgekd.studies import _overview

    settings = _overview.scaled(_overview.study(name), scale, epochs=epochs, teacher_epochs=teacher_epochs)
    return _overview.overview(name, settings, seeds)
