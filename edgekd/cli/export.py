"""`edgekd export`: the files for a target, checked before a device sees them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekd import console
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
from edgekd.cli.panels import MODEL, OUTPUT
from edgekd.cli.resuming import resumable
from edgekd.console.progress import ConsoleProgress
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values.exported import Exports

File = Annotated[
    Path | None, typer.Argument(metavar="[MODEL.onnx]", help="A file to check for TensorRT, without --model.")
]
Weights = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The model's trained weights.", rich_help_panel=MODEL)
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
    data_root: DataRoot = None,
    download: Download = False,
    size: Size = None,
    normalize: Normalize = None,
    target: Target = None,
    device: DeviceUrl = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    recipe: RecipeFile = None,
    out: Out = None,
    include_preprocessing: IncludePreprocessing = False,
    json: Json = False,
) -> int:
    """Write the files of a network for a target, and check them before a device builds from them.

    Exit codes: 0 exported, 2 a finding is an error: a file that the target doesn't take, 3 the device is not of the
    target's kind, 5 it is unavailable, or runs none of the files.
    """
    from edgekd.devices import listed

    place = listed.only(device or (), devices)
    where: dict[str, Any] = {} if wait is None else {"wait_s": 60 * wait}
    url = place.url if device else None
    chosen = target or (None if recipe else listed.stated_target(place))
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
    if file is None:
        data_options = {"data_root": data_root, "download": download, "trust_checkpoint": trust_checkpoint}
        found = _network(recipe, given, out, device_url=url, **where, **data_options)
    else:
        _refuse_both(file, recipe, given)
        found = _file(file, chosen, out, device_url=url, **where)
    console.json(found) if json else console.exports(found)
    return ExitCode.USAGE if found.errors else ExitCode.PASS


def _network(recipe: Path | None, given: dict[str, Any], out: Path | None, **more: Any) -> "Exports":
    from edgekd import catalog
    from edgekd.files import require_utf8
    from edgekd.recipe import recipe as made

    settings = made(recipe, given)
    folder = out or _folder(settings.model, Path(settings.data.source).name, settings.target)
    require_utf8("--out", str(folder.absolute()))
    with resumable(folder), ConsoleProgress() as progress:
        found: Exports = catalog.require("edgekd.pipeline.export").export(settings, folder, **more, progress=progress)
    return found


def _file(file: Path, target: str | None, out: Path | None, **where: Any) -> "Exports":
    from edgekd import catalog

    if target is None:
        raise EdgekdError("no target", "Give --target; `edgekd targets` lists them.")
    known = catalog.target(target)
    folder, verb = out or _folder(file.stem, known.name), catalog.require("edgekd.pipeline.export_file")
    with ConsoleProgress() as progress:
        found: Exports = verb.export_file(file, known, folder, **where, progress=progress)
    return found


def _refuse_both(file: Path, recipe: Path | None, given: dict[str, Any]) -> None:
    """Raises EdgekdError if options of a network are given beside a file."""
    of_networks = [key for key, value in given.items() if value is not None and key != "target"]
    if recipe or of_networks:
        what = f"{file}: a file takes no option of a network ({', '.join(of_networks) or 'recipe'})"
        raise EdgekdError(what, "Give either MODEL.onnx, or --model, --weights and --data.")


def _folder(*parts: str) -> Path:
    """The default folder: the same network for the same target has the same one."""
    return Path("exports") / re.sub(r"[^\w.=]+", "-", "-".join((*parts[:-1], Path(parts[-1]).stem)))
