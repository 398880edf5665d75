"""`edgekd study`: the literature's comparisons: list, show, run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd import console
from edgekd.cli.options import DeviceUrl, Json
from edgekd.errors import ExitCode

if TYPE_CHECKING:
    from edgekd.studies._results import Outline

study = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The literature's comparisons: list, show, run.")

Name = Annotated[str, typer.Argument(help="Of a study; see `study list`.")]
ScaleName = Annotated[
    str, typer.Option("--scale", help="smoke (minutes), small (an hour on two cores) or paper (for a GPU).")
]
Seeds = Annotated[int, typer.Option("--seeds", min=1, help="How often each arm is trained, with other random numbers.")]
Epochs = Annotated[int | None, typer.Option("--epochs", min=1, help="Of every arm, in place of the scale's.")]
TeacherEpochs = Annotated[
    int | None, typer.Option("--teacher-epochs", min=1, help="Of every teacher, in place of the scale's.")
]


@study.command("list")
def list_studies(*, scale: ScaleName = "smoke", seeds: Seeds = 3, json: Json = False) -> int:
    """The studies, with how much each trains at a scale."""
    from edgekd import catalog
    from edgekd.studies._base import STUDIES
    from edgekd.studies._results import Outlines

    found = [_outline(name, scale, seeds) for name in catalog.names(STUDIES)]
    console.json(Outlines(studies=tuple(found))) if json else console.studies(found)
    return ExitCode.PASS


@study.command("show")
def show_study(
    name: Name,
    *,
    scale: ScaleName = "smoke",
    seeds: Seeds = 3,
    epochs: Epochs = None,
    teacher_epochs: TeacherEpochs = None,
    json: Json = False,
) -> int:
    """What a study compares, what its paper says, and about how long it takes."""
    from edgekd.studies._results import Outlines

    found = _outline(name, scale, seeds, epochs, teacher_epochs)
    console.json(Outlines(studies=(found,))) if json else console.outline(found)
    return ExitCode.PASS


@study.command("run")
def run_study(
    name: Name,
    *,
    scale: ScaleName = "smoke",
    seeds: Seeds = 3,
    data: Annotated[
        str | None, typer.Option(help="Another data set than the scale's: digits, fashion-mnist, folder:PATH …")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Where data sets lie; also $EDGEKD_DATA.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it isn't there.")] = False,
    epochs: Epochs = None,
    teacher_epochs: TeacherEpochs = None,
    target: Annotated[
        str, typer.Option(help="What kind of device: a name (see `targets`) or a TOML file.")
    ] = "x86-cpu",
    device: DeviceUrl = None,
    out: Annotated[Path | None, typer.Option(help="The study's directory; the same one goes on where it was.")] = None,
    json: Json = False,
) -> int:
    """Run a study, or go on with it: every arm with every seed, then the tables and plots.

    Ends in 0 when all cells are done, 3 when some failed.
    """
    from edgekd import catalog
    from edgekd.files import require_utf8
    from edgekd.studies import _outline

    settings = _outline.scaled(_outline.study(name), scale, epochs=epochs, teacher_epochs=teacher_epochs)
    folder = out or Path("studies") / f"{name}-{scale}"
    require_utf8("--out", str(folder.absolute()))
    with console.ConsoleProgress() as progress:
        result = catalog.require("edgekd.studies.run").run_study(
            name,
            settings,
            folder,
            seeds=seeds,
            target=target,
            data=data,
            device_url=device,
            data_root=data_root,
            download=download,
            progress=progress,
        )
    console.json(result) if json else console.study_result(result)
    return ExitCode.INCONCLUSIVE if result.failures else ExitCode.PASS


def _outline(
    name: str, scale: str, seeds: int, epochs: int | None = None, teacher_epochs: int | None = None
) -> "Outline":
    from edgekd.studies import _outline

    settings = _outline.scaled(_outline.study(name), scale, epochs=epochs, teacher_epochs=teacher_epochs)
    return _outline.outline(name, settings, seeds)
