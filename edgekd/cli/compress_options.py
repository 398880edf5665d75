"""The options of `edgekd compress`, some of which `edgekd export` has too."""

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from edgekd.cli.panels import COMPRESSION, DATA, DEVICE, MODEL, OUTPUT, TRAINING
from edgekd.errors import EdgekdError

Normalisation = Literal["imagenet", "0.5", "0-1", "data"]

Model = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="mobilenet_v1:width=0.5 (default), torchvision:NAME, timm:NAME, module:factory.",
        rich_help_panel=MODEL,
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Trained weights; without them, the model is trained first.", rich_help_panel=MODEL
    ),
]
TrustCheckpoint = Annotated[
    bool,
    typer.Option("--trust-checkpoint", help="Unpickle --weights, which can run any code in it.", rich_help_panel=MODEL),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="DATA",
        help="digits (default), fashion-mnist, cifar10, cifar100, folder:PATH, module:factory.",
        rich_help_panel=DATA,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(metavar="224|240x320", help="Input size: a side, or height x width.", rich_help_panel=DATA),
]
Normalize = Annotated[
    Normalisation | None,
    typer.Option(
        metavar="imagenet|0.5|0-1|data", help="Mean and deviation that --weights expect.", rich_help_panel=DATA
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="Train on mirrored images too, or never.", rich_help_panel=DATA),
]
Target = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="The kind of device; `edgekd targets` lists them.", rich_help_panel=DEVICE),
]
Budget = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="The limits; `edgekd budgets` lists some.", rich_help_panel=DEVICE),
]
RecipeFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="All settings, as TOML; options override it.", rich_help_panel=COMPRESSION),
]
Prune = Annotated[
    str | None,
    typer.Option(
        metavar="CRITERION",
        help="What goes first: l1 (default), taylor, influence, magnitude …",
        rich_help_panel=COMPRESSION,
    ),
]
Ratio = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=0.99,
        metavar="R",
        help="Prune this fraction; by default it is chosen by measuring.",
        rich_help_panel=COMPRESSION,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Epochs of distillation (default: by the data's size).", rich_help_panel=TRAINING
    ),
]
TeacherEpochs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", help="Epochs of the model's own training, without weights.", rich_help_panel=TRAINING
    ),
]
Seed = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Random seed (default: 0).", rich_help_panel=TRAINING)
]
Track = Annotated[
    str | None,
    typer.Option(metavar="TRACKER", help="Log the training to tensorboard or mlflow.", rich_help_panel=TRAINING),
]
Out = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Run folder. Run the same command again to resume.",
        rich_help_panel=OUTPUT,
    ),
]
IncludePreprocessing = Annotated[
    bool,
    typer.Option(
        "--include-preprocessing",
        help="Export files that take uint8 pixels and normalise them.",
        rich_help_panel=OUTPUT,
    ),
]


def input_size(stated: str | None) -> int | list[int] | None:
    """A side, or height and width."""
    if stated is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}(x[0-9]{1,5})?", stated):
        raise EdgekdError(f"--size {stated}: not a size in pixels", "Write 224, or 240x320 (height x width).")
    sides = [int(side) for side in stated.split("x")]
    return sides[0] if len(sides) == 1 else sides
