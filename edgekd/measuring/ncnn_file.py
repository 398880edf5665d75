"""Reads ncnn's files: NAME.param, the layers, and NAME.bin beside it, their weights."""

import os
from contextlib import nullcontext, suppress
from pathlib import Path

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.files import require_file
from edgekd.measuring.ncnn_weights import require_matching
from edgekd.runtimes import ncnn

_MAGIC = b"7767517"
_HALF = bytes.fromhex("476b3001")  # before weights in fp16
_INT8_SCALES = "8"


def is_ncnn(path: Path) -> bool:
    """Whether a file begins as a .param file, or is called so. Raises UnsupportedModelError for a .bin file of one."""
    is_regular = os.path.isfile(path)  # noqa: PTH113 - not a pipe, which would be waited for; Path.is_file raises
    with suppress(OSError), path.open("rb") if is_regular else nullcontext() as file:
        if file and file.read(len(_MAGIC)) == _MAGIC:
            return True
    if path.suffix == ".bin" and path.with_suffix(".param").is_file():
        what = f"{path}: holds the weights of {path.with_suffix('.param').name}"
        raise UnsupportedModelError(what, "Give the .param file.")
    return path.suffix == ".param"


def weights(path: Path) -> Path:
    """The .bin file of a .param file.

    Raises:
        StorageError: it isn't there, or can't be read.
    """
    require_file(path, "Give the path of a .param file.")
    found = path.with_suffix(".bin")
    if not found.is_file():
        raise StorageError(f"{path}: its weights {found.name} are missing", "Copy them together with the .param file.")
    return found


def precision(path: Path) -> str:
    """What a model computes in by itself: int8 if layers have integer weights, or else the type of its first weights.

    Raises:
        StorageError: as `weights`.
        UnsupportedModelError: it isn't a .param file, or the weights beside it are another model's.
    """
    beside = weights(path)
    try:
        layers = ncnn.layers(str(path))
        require_matching(layers, beside)
        if any(layer.integer(_INT8_SCALES) for layer in layers if layer.kind in ncnn.QUANTISED):
            return "int8"
    except ValueError as e:
        raise UnsupportedModelError(f"{path}: {e}", "Export or copy it again.") from e
    with beside.open("rb") as file:
        return "fp16" if file.read(len(_HALF)) == _HALF else "fp32"
