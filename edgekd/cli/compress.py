"""`edgekd compress`: the main job."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd import console
from edgekd.cli.options import DataRoot, DeviceUrl, Download, Json
from edgekd.cli.panels import COMPRESSION, DATA, DEVICE, MODEL, OUTPUT, TRAINING
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values import Recipe

Normalisation = Literal["imagenet", "0.5", "0-1", "data"]


def compress(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="NAME (default: mobilenet_v1:width=0.5), torchvision:NAME, timm:NAME, module:factory.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Trained weights; without them, the model is trained first.", rich_help_panel=MODEL
        ),
    ] = None,
    trust_checkpoint: Annotated[
        bool,
        typer.Option(
            "--trust-checkpoint", help="Unpickle --weights, which can run any code in it.", rich_help_panel=MODEL
        ),
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="digits (default), fashion-mnist, cifar10, cifar100, folder:PATH, module:factory.",
            rich_help_panel=DATA,
        ),
    ] = None,
    data_root: DataRoot = None,
    download: Download = False,
    size: Annotated[
        str | None,
        typer.Option(metavar="224|240x320", help="Input size: a side, or height x width.", rich_help_panel=DATA),
    ] = None,
    normalize: Annotated[
        Normalisation | None,
        typer.Option(
            metavar="imagenet|0.5|0-1|data", help="Mean and deviation that --weights expect.", rich_help_panel=DATA
        ),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Train on mirrored images too, or never.", rich_help_panel=DATA),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE", help="The kind of device; `edgekd targets` lists them.", rich_help_panel=DEVICE
        ),
    ] = None,
    device: DeviceUrl = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="The limits; `edgekd budgets` lists some.", rich_help_panel=DEVICE),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All settings, as TOML; options override it.", rich_help_panel=COMPRESSION),
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            metavar="CRITERION",
            help="What goes first: l1 (default), taylor, influence, magnitude …",
            rich_help_panel=COMPRESSION,
        ),
    ] = None,
    ratio: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=0.99,
            metavar="R",
            help="Prune this fraction; by default it is chosen by measuring.",
            rich_help_panel=COMPRESSION,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Epochs of distillation (default: by the data's size).", rich_help_panel=TRAINING
        ),
    ] = None,
    teacher_epochs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Epochs of the model's own training, without weights.", rich_help_panel=TRAINING
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Random seed (default: 0).", rich_help_panel=TRAINING)
    ] = None,
    track: Annotated[
        str | None,
        typer.Option(metavar="TRACKER", help="Log the training to tensorboard or mlflow.", rich_help_panel=TRAINING),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Run folder. Run the same command again to resume.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    include_preprocessing: Annotated[
        bool,
        typer.Option(
            "--include-preprocessing",
            help="Export files that take uint8 pixels and normalise them.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Make a trained network meet a budget on a device: prune, distil, quantise, export, measure.

    Exit codes: 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.
    """
    from edgekd import catalog
    from edgekd.files import require_utf8
    from edgekd.gate.judge import exit_code
    from edgekd.recipe import recipe as made

    given = {
        "target": target,
        "model": model,
        "weights": str(weights.absolute()) if weights else None,
        "data.source": data,
        "data.size": _size(size),
        "data.mean": normalize,
        "data.std": normalize,
        "data.flip": flip,
        "budget": budget,
        "search.ratio": ratio,
        "prune.criterion": prune,
        "recover.epochs": epochs,
        "teacher.epochs": teacher_epochs,
        "seed": seed,
        "export.include_preprocessing": include_preprocessing or None,
    }
    settings = made(recipe, given)
    folder = out or _run_folder(settings)
    require_utf8("--out", str(folder.absolute()))
    with console.ConsoleProgress() as progress:
        result = catalog.require("edgekd.pipeline.compress").compress(
            settings,
            folder,
            device_url=device,
            data_root=data_root,
            download=download,
            trust_checkpoint=trust_checkpoint,
            track=track,
            progress=progress,
        )
    if result is None:  # one of torchrun's processes that only trained
        return ExitCode.PASS
    console.json(result) if json else console.result(result)
    return exit_code(result.verdict)


def _size(stated: str | None) -> int | list[int] | None:
    """A side, or height and width."""
    if stated is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}(x[0-9]{1,5})?", stated):
        raise EdgekdError(f"--size {stated}: not a size in pixels", "Write 224, or 240x320 (height x width).")
    sides = [int(side) for side in stated.split("x")]
    return sides[0] if len(sides) == 1 else sides


def _run_folder(settings: "Recipe") -> Path:
    """The default run folder: the same settings give the same one, so that a run is resumed."""
    name = "-".join((settings.model, Path(settings.data.source).name, Path(settings.target).stem))
    return Path("runs") / re.sub(r"[^\w.=]+", "-", name)
