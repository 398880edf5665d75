"""`edgekd compress`: the main job."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd import console
from edgekd.cli.options import DeviceUrl, Json
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values import Recipe

Normalisation = Literal["imagenet", "0.5", "0-1", "data"]


def compress(
    *,
    target: Annotated[str | None, typer.Option(help="What kind of device: a name (see `targets`) or a file.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="mobilenet_v1:width=0.5 (default), resnet32, vgg8, torchvision:NAME, timm:NAME, module:factory"
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="The trained model: .safetensors, .pt, .pth, .pth.tar, .ckpt or .bin. Without, it is trained first."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="digits (default), fashion-mnist, cifar10, cifar100, folder:PATH, module:factory"),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="224|240x320", help="What the network sees: a square's side, or height x width."),
    ] = None,
    normalize: Annotated[
        Normalisation | None,
        typer.Option(metavar="imagenet|0.5|0-1|data", help="Mean and deviation that --weights expect."),
    ] = None,
    flip: Annotated[
        bool | None, typer.Option("--flip/--no-flip", help="Whether training sees mirrored images too.")
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Where data sets lie; also $EDGEKD_DATA.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it isn't there.")] = False,
    budget: Annotated[str | None, typer.Option(help="The limits: a name (see `budgets`) or a TOML file.")] = None,
    device: DeviceUrl = None,
    ratio: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Prune this fraction instead of planning it.")
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="How: widthwise (default), layerwise, filters, channels or weights."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of distillation; chosen from the data if absent.")
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train the model where it has no weights.")
    ] = None,
    include_preprocessing: Annotated[
        bool, typer.Option("--include-preprocessing", help="Files take pixels (uint8) and normalise them themselves.")
    ] = False,
    recipe: Annotated[Path | None, typer.Option(help="Settings in a TOML file, such as a run's recipe.toml.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, augmentation and order; 0 by default.")] = None,
    trust_checkpoint: Annotated[
        bool, typer.Option("--trust-checkpoint", help="Unpickle --weights: it may run any code it holds.")
    ] = False,
    track: Annotated[
        str | None, typer.Option(help="Follow the trainings with tensorboard or mlflow, where installed.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; the same one goes on where it was.")] = None,
    json: Json = False,
) -> int:
    """Make a trained network meet a budget on a device: prune, distil, quantise, export, measure, judge.

    Ends in 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.
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
        "prune.ratio": ratio,
        "prune.method": prune,
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
        raise EdgekdError(f"--size {stated}: not a number of pixels", "Write 224, or 240x320: height x width.")
    sides = [int(side) for side in stated.split("x")]
    return sides[0] if len(sides) == 1 else sides


def _run_folder(settings: "Recipe") -> Path:
    """Where a run goes that wasn't told: the same job finds its own results again."""
    name = "-".join((settings.model, Path(settings.data.source).name, Path(settings.target).stem))
    return Path("runs") / re.sub(r"[^\w.=]+", "-", name)
