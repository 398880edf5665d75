"""timm's models, with random weights."""

import difflib

import timm
from torch import nn

from edgekd.errors import EdgekdError


def build(name: str, *, classes: int, channels: int) -> nn.Module:
    """The model of that name, made by timm for that many channels."""
    known = timm.list_models()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=5)
        hint = f"Did you mean {', '.join(close)}?" if close else "`timm.list_models()` in Python lists them."
        raise EdgekdError(f"timm has no model {name!r}", hint)
    model: nn.Module = timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    return model
