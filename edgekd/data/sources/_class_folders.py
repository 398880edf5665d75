"""Finds the images of class folders, and checks them without decoding."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from edgekd.data.decoding import DECODING_ERRORS, unreadable
from edgekd.errors import EdgekdError, StorageError

Files = dict[str, list[Path]]
_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff", ".gif"}
_GREY = ("1", "L", "LA")
_HINT = "A folder of images is PATH/CLASS/*.png, or PATH/train/CLASS/*.png with test and perhaps val beside train."


def class_files(folder: Path) -> Files:
    """The images below each class folder, by name in alphabetical order.

    Raises:
        EdgekdError: there are no images, or of one class only, or a class folder is empty.
        StorageError: the folder can't be read.
    """
    try:
        inside = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
        files = {f.name: sorted(p for p in f.rglob("*") if p.suffix.lower() in _SUFFIXES) for f in inside}
    except OSError as e:
        raise StorageError(f"{folder}: can't be read: {e.strerror or e}", "Check its permissions.") from e
    if not files:
        raise EdgekdError(f"{folder}: no class folders in it", _HINT)
    if not any(files.values()):
        raise EdgekdError(f"{folder}: no images in its {len(files)} folders", _HINT)
    if len(files) == 1:
        raise EdgekdError(f"{folder}: only one class, {inside[0].name!r}: there is nothing to tell apart", _HINT)
    empty = [name for name, paths in files.items() if not paths]
    if empty:
        raise EdgekdError(f"{folder / empty[0]}: no images in it", "Add some, or remove the folder.")
    return files


def common_shape(paths: Sequence[Path]) -> tuple[int, int, int]:
    """Channels, height and width of all images; only their headers are read.

    Raises:
        EdgekdError: they aren't all of one size.
        StorageError: one can't be read as an image of 8 bits a channel.
    """
    first_size, first_mode = _header(paths[0])
    for path in paths[1:]:
        size, _ = _header(path)
        if size != first_size:
            (width, height), (w, h) = first_size, size
            what = f"images of different size: {paths[0]} is {width}x{height}, {path} is {w}x{h}"
            raise EdgekdError(what, f"Resize them all to one size first, such as {width}x{height}.")
    width, height = first_size
    return 1 if first_mode in _GREY else 3, height, width


def _header(path: Path) -> tuple[tuple[int, int], str]:
    try:
        with Image.open(path) as image:
            size, mode = image.size, image.mode
    except DECODING_ERRORS as e:
        raise unreadable(path, e) from e
    # PIL would cut 16 bits off at 255 instead of scaling them
    if mode.startswith(("I", "F")):
        raise StorageError(f"{path}: more than 8 bits a channel (mode {mode})", "Convert the images to 8 bits.")
    return size, mode
