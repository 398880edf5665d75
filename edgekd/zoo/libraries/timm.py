"""timm's models, with random weights."""

import math

import timm
from torch import nn

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.values import Preprocessing


def build(name: str, *, classes: int, channels: int) -> nn.Module:
    """The model of that name, made by timm for that many channels."""
    known = timm.list_models()
    if name not in known:
        hint = catalog.closest(name, known, "`timm.list_models()` in Python lists them.")
        raise EdgekdError(f"timm has no model {name!r}", hint)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    return model


def preprocessing(name: str) -> Preprocessing | None:
    """How the images were prepared that timm's own weights of that model are for; None if it has none."""
    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if known is None:
        return None
    how = timm.data.resolve_data_config(pretrained_cfg=known.to_dict())
    _, height, width = how["input_size"]
    # "squash" brings the image to its size whatever its aspect, and cuts the border off where crop_pct is below 1
    squashed = how["crop_mode"] == "squash" and how["crop_pct"] == 1
    return Preprocessing(
        height=height,
        width=width,
        resize=None if squashed else math.floor(min(height, width) / how["crop_pct"]),
        crop="none" if squashed else "center",
        interpolation=how["interpolation"] if how["interpolation"] in ("bilinear", "bicubic") else "bilinear",
        colour="rgb",
        mean=tuple(how["mean"]),
        std=tuple(how["std"]),
    )
