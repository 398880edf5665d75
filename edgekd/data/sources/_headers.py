"""What the headers of image files say, without decoding them: their sizes and colours."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from edgekd.data.decoding import DECODING_ERRORS, unreadable
from edgekd.data.sources._class_folders import shown
from edgekd.errors import StorageError
from edgekd.values.data import Colour

_GREY = ("1", "L", "LA", "La")
_ORIENTATION = 0x0112
_ON_THEIR_SIDE = (5, 6, 7, 8)


@dataclass(frozen=True)
class Header:
    """An image that isn't decoded yet."""

    path: Path
    width: int
    """Pixels, as it is meant to be looked at."""
    height: int
    grey: bool
    deep: bool
    """Of 16 bits a channel."""
    transparent: bool
    animated: bool


def header(path: Path) -> Header:
    """What the file's header says.

    Raises:
        StorageError: it can't be read as an image of 8 or 16 bits a channel, or it is too large to be decoded.
    """
    try:
        with warnings.catch_warnings():
            # what is large is decoded all the same; what is far too large is an error
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _read(path, image)
    except Image.DecompressionBombError as e:
        raise StorageError(f"{shown(path)}: too large an image: {e}", "Make it smaller, or remove it.") from e
    except DECODING_ERRORS as e:
        raise unreadable(path, e) from e


def _read(path: Path, image: Image.Image) -> Header:
    if image.mode in ("I", "F"):
        what = f"{shown(path)}: pixels of mode {image.mode} have no stated white"
        raise StorageError(what, "Convert the images to 8 or 16 bits a channel.")
    width, height = image.size
    # a PNG's may stand behind its pixels, and no camera writes one
    if image.format != "PNG" and image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE:
        width, height = height, width
    deep = image.mode.startswith("I;16")
    grey = deep or image.mode in _GREY or (image.mode in ("P", "PA") and _grey_palette(image))
    return Header(
        path, width, height, grey, deep, image.has_transparency_data, bool(getattr(image, "is_animated", False))
    )


def _grey_palette(image: Image.Image) -> bool:
    colours = image.getpalette("RGB") or []
    return colours[::3] == colours[1::3] == colours[2::3]


def notes(headers: Sequence[Header], colour: Colour) -> list[str]:
    """What to tell of these images, read in that colour."""
    grey = [h for h in headers if h.grey]
    coloured = [h for h in headers if not h.grey]
    told = []
    if grey and coloured:
        fewer, name = (grey, "grey") if len(grey) <= len(coloured) else (coloured, "coloured")
        count = f"{len(fewer):,} of {len(headers):,} images"
        told.append(f"{count} are {name}, such as {shown(fewer[0].path)}: all are read as {colour} ([data] colour)")
    elif coloured and colour == "grey":
        told.append("the images are coloured and read as grey")
    for some, what in (
        ([h for h in headers if h.deep], "are of 16 bits: the upper 8 are seen"),
        ([h for h in headers if h.transparent], "have an alpha channel, which is dropped"),
        ([h for h in headers if h.animated], "are animated: their first pictures are taken"),
    ):
        if some:
            told.append(f"{len(some):,} of {len(headers):,} images {what}, such as {shown(some[0].path)}")
    return told
