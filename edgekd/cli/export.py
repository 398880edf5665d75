"""`edgekd export`: the files for a target, checked before a device sees them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd import catalog, console
from edgekd.cli import given_file
from edgekd.cli.compress_options import (
    Data,
    IncludePreprocessing,
    Model,
    Normalize,
    RecipeFile,
    Size,
    Target,
    TrustCheckpoint,
    input_size,
)
from edgekd.cli.options import DataRoot, DevicesFile, DeviceUrl, Download, Json, WaitMinutes
from edgekd.cli.panels import BUDGET, DATA, MODEL, OUTPUT
from edgekd.cli.working import working
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values.exported import Exports

File = Annotated[
    Path | None,
    typer.Argument(metavar="[MODEL.onnx]", help="A file, without --model: made ready, or checked."),
]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The model's trained weights.", rich_help_panel=MODEL)
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        metavar="IMAGES",
        help="Images for MODEL.onnx: folder:PATH, .npz, .npy, or as --data.",
        rich_help_panel=DATA,
    ),
]
MaxDrop = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=100,
        metavar="POINTS",
        help="Accuracy that a variant of MODEL.onnx may lose (default: 1).",
        rich_help_panel=BUDGET,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Folder for the files (default: exports/…).", rich_help_panel=OUTPUT),
]


def export(
    *,
    file: File = None,
    model: Model = None,
    weights: Weights = None,
    trust_checkpoint: TrustCheckpoint = False,
    data: Data = None,
    calibrate: Calibrate = None,
    data_root: DataRoot = None,
    download: Download = False,
    size: Size = None,
    normalize: Normalize = None,
    target: Target = None,
    device: DeviceUrl = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    recipe: RecipeFile = None,
    max_drop: MaxDrop = None,
    out: Out = None,
    include_preprocessing: IncludePreprocessing = False,
    json: Json = False,
) -> int:
    """Write the files of a network, or of any ONNX file, for a target; check each, and measure those of a file.

    Exit codes: 0 exported, 2 a finding is an error: a file that the target doesn't take, 3 the device is not of the
    target's kind, 5 it is unavailable, or runs none of the files.
    """
    from edgekd.devices import listed

    place = listed.only(device or (), devices)
    where: dict[str, Any] = {} if wait is None else {"wait_s": 60 * wait}
    url = place.url if device else None
    chosen = target or (None if recipe and file is None else listed.stated_target(place))
    given = {
        "target": chosen,
        "model": model,
        "weights": str(weights.absolute()) if weights else None,
        "data.source": data,
        "data.size": input_size(size),
        "data.mean": normalize,
        "data.std": normalize,
        "export.include_preprocessing": include_preprocessing or None,
    }
    data_options = {"data_root": data_root, "download": download}
    if file is None:
        if calibrate or max_drop is not None:
            raise EdgekdError("--calibrate and --max-drop are for a given file", "Give MODEL.onnx, or leave them out.")
        found = _network(recipe, given, out, device_url=url, **where, **data_options, trust_checkpoint=trust_checkpoint)
    else:
        given_file.check_given(file, given, recipe=recipe, calibrate=calibrate)
        if chosen is None:
            raise EdgekdError("no target", "Give --target; `edgekd targets` lists them.")
        folder = out or given_file.folder(file.stem, catalog.target(chosen).name)
        if calibrate:
            where |= {"recipe": recipe, "max_drop": max_drop, "device_url": url, **data_options}
            found = given_file.calibrated_file(file, chosen, folder, calibrate, given, **where)
        elif max_drop is not None:
            raise EdgekdError("--max-drop without --calibrate: nothing is compared", "Give --calibrate IMAGES as well.")
        else:
            found = given_file.checked_file(file, chosen, folder, device_url=url, **where)
    console.json(found) if json else console.exports(found)
    return ExitCode.USAGE if found.errors else ExitCode.PASS


def _network(recipe: Path | None, given: dict[str, Any], out: Path | None, **more: Any) -> "Exports":
    from edgekd.files import require_utf8
    from edgekd.recipe import recipe as made

    settings = made(recipe, given)
    folder = out or given_file.folder(settings.model, Path(settings.data.source).name, settings.target)
    require_utf8("--out", str(folder.absolute()))
    with working(folder) as progress:
        found: Exports = catalog.require("edgekd.pipeline.export").export(settings, folder, **more, progress=progress)
    return found
