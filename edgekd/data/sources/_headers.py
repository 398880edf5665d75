"""Reads sizes and colours from the headers of image files, without decoding them."""

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
    """The header of an image file."""

    path: Path
    width: int
    """Pixels, after the rotation that EXIF states."""
    height: int
    grey: bool
    deep: bool
    """Whether it has 16 bits per channel."""
    transparent: bool
    animated: bool


def header(path: Path) -> Header:
    """The header of a file.

    Raises:
        StorageError: it isn't a readable image of 8 or 16 bits per channel, or it is too large to decode.
    """
    try:
        with warnings.catch_warnings():
            # large images are decoded; far too large ones are an error
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _read(path, image)
    except Image.DecompressionBombError as e:
        raise StorageError(f"{shown(path)}: the image is too large: {e}", "Resize or remove it.") from e
    except DECODING_ERRORS as e:
        raise unreadable(path, e) from e


def _read(path: Path, image: Image.Image) -> Header:
    if image.mode in ("I", "F"):
        what = f"{shown(path)}: pixels of mode {image.mode} have no defined white level"
        raise StorageError(what, "Convert the images to 8 or 16 bits per channel.")
    width, height = image.size
    # in a PNG it may follow the pixels, and cameras don't write PNGs; Pillow turns the size of a TIFF itself
    if image.format not in ("PNG", "TIFF") and image.getexif().get(_ORIENTATION) in _ON_THEIR_SIDE:
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
    """Notes about these images, which are read in that colour."""
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
        ([h for h in headers if h.deep], "have 16 bits per channel, of which the upper 8 are used"),
        ([h for h in headers if h.transparent], "have an alpha channel, which is dropped"),
        ([h for h in headers if h.animated], "are animated: their first frames are used"),
    ):
        if some:
            told.append(f"{len(some):,} of {len(headers):,} images {what}, such as {shown(some[0].path)}")
    return told
