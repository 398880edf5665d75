"""Prepares an image that Pillow has opened: its orientation, colour and size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from edgekd.values.data import Interpolation

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
REDUCED_AFTERWARDS = 2.0
"""A JPEG may be decoded at a fraction of its size if it is then reduced by at least this factor: it hardly differs."""

Picture = NDArray[np.uint8]  # (C, H, W)


@dataclass(frozen=True)
class Decoding:
    """How files are decoded. Images are rotated as their EXIF data say; an alpha channel is dropped."""

    colour: Literal["grey", "rgb"]
    size: tuple[int, int] | None = None
    """Height and width of every image, whatever its aspect."""
    short_side: int | None = None
    """Pixels of the short side, with the long one in proportion; if `size` is None."""
    enlarge: bool = True
    """Whether images whose short side is below `short_side` are enlarged to it, or not resized."""
    interpolation: Interpolation = "bilinear"
    exact: bool = True
    """Whether the whole image is decoded and then resized, as users of an artifact do. Otherwise large images are first
    reduced in the fastest way, JPEGs while they are decoded, to at least twice the wanted size.
    """


def upright(image: Image.Image, colour: Literal["grey", "rgb"]) -> Image.Image:
    """The image rotated as its EXIF data say, in grey or RGB as Pillow converts it.

    An alpha channel is dropped, as by torchvision's ImageFolder, so that networks trained elsewhere and users of an
    artifact get the same pixels.

    The given image may be changed in place and returned.

    Raises:
        ValueError: its pixels have no defined white level.
    """
    ImageOps.exif_transpose(image, in_place=True)
    mode = "L" if colour == "grey" else "RGB"
    if image.mode.startswith("I;16"):
        # Pillow would clip all values above 255 of 65,535 to white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no defined white level; use 8 or 16 bits per channel")
    # otherwise Pillow warns about a palette's, and drops it as well
    image.info.pop("transparency", None)
    return image if image.mode == mode else image.convert(mode)


def resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    """The image resized as `decoding` says."""
    return in_size(image, image.size, decoding)


def in_size(image: Image.Image, stored: tuple[int, int], decoding: Decoding) -> Image.Image:
    """An image, possibly already reduced from its stored width and height, in its final size."""
    size = wanted(stored, decoding)
    if image.size == size:
        return image
    return image.resize(
        size, FILTERS[decoding.interpolation], reducing_gap=None if decoding.exact else REDUCED_AFTERWARDS
    )


def wanted(stored: tuple[int, int], decoding: Decoding) -> tuple[int, int]:
    """The final width and height of an image of this width and height."""
    if decoding.size is not None:
        return decoding.size[1], decoding.size[0]
    short, (width, height) = decoding.short_side, stored
    if short is None or (not decoding.enlarge and min(stored) <= short):
        return stored
    # rounded down, as torchvision does
    return (short, short * height // width) if width <= height else (short * width // height, short)


def picture(image: Image.Image) -> Picture:
    """The pixels (C, H, W) of an image in grey or RGB; in memory they are (H, W, C)."""
    pixels = np.array(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def normalised(pixels: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]) -> NDArray[np.float32]:
    """(B, C, H, W) uint8 as float32 minus each channel's mean (0 to 1), divided by its standard deviation."""
    values = pixels.astype(np.float32)
    values -= _by_channel(mean)
    values /= _by_channel(std)
    return values


def _by_channel(fractions: Sequence[float]) -> NDArray[np.float32]:
    return (255 * np.array(fractions, dtype=np.float32))[:, None, None]
