"""`edgekd compress`: the main job."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd import console
from edgekd.cli.compress_options import (
    Budget,
    Data,
    Epochs,
    Flip,
    IncludePreprocessing,
    Model,
    Normalize,
    Out,
    Prune,
    Ratio,
    RecipeFile,
    Seed,
    Size,
    Target,
    TeacherEpochs,
    Track,
    TrustCheckpoint,
    Weights,
    input_size,
)
from edgekd.cli.options import DataRoot, DevicesFile, DeviceUrl, Download, Json, WaitMinutes
from edgekd.cli.working import working
from edgekd.errors import ExitCode

if TYPE_CHECKING:
    from edgekd.values import Recipe


def compress(
    *,
    model: Model = None,
    weights: Weights = None,
    trust_checkpoint: TrustCheckpoint = False,
    data: Data = None,
    data_root: DataRoot = None,
    download: Download = False,
    size: Size = None,
    normalize: Normalize = None,
    flip: Flip = None,
    target: Target = None,
    device: DeviceUrl = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    budget: Budget = None,
    recipe: RecipeFile = None,
    prune: Prune = None,
    ratio: Ratio = None,
    epochs: Epochs = None,
    teacher_epochs: TeacherEpochs = None,
    seed: Seed = None,
    track: Track = None,
    out: Out = None,
    include_preprocessing: IncludePreprocessing = False,
    json: Json = False,
) -> int:
    """Make a trained network meet a budget on a device: prune, distil, quantise, export, measure.

    Exit codes: 0 pass, 1 over budget, 3 undecided or not measured, 4 invalid, 5 device unavailable.
    """
    from edgekd.devices import listed
    from edgekd.files import require_utf8
    from edgekd.recipe import recipe as made

    place = listed.only(device or (), devices)
    given = {
        "target": target or (None if recipe else listed.stated_target(place)),
        "model": model,
        "weights": str(weights.absolute()) if weights else None,
        "data.source": data,
        "data.size": input_size(size),
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
    waited = {} if wait is None else {"wait_s": 60 * wait}
    where = {"device_url": place.url if device else None, **waited, "data_root": data_root, "download": download}
    return _run(settings, folder, json=json, track=track, trust_checkpoint=trust_checkpoint, **where)


def _run(settings: "Recipe", folder: Path, *, json: bool, **more: Any) -> int:
    """Compress as the settings say, and show the result; the exit code."""
    from edgekd import catalog
    from edgekd.gate.judge import exit_code

    with working(folder) as progress:
        result = catalog.require("edgekd.pipeline.compress").compress(settings, folder, **more, progress=progress)
    if result is None:  # one of torchrun's processes that only trained
        return ExitCode.PASS
    console.json(result) if json else console.result(result)
    return exit_code(result.verdict)


def _run_folder(settings: "Recipe") -> Path:
    """The default run folder: the same settings give the same one, so that a run is resumed."""
    name = "-".join((settings.model, Path(settings.data.source).name, Path(settings.target).stem))
    return Path("runs") / re.sub(r"[^\w.=]+", "-", name)
