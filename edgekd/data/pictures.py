"""What becomes of one image that Pillow has opened: upright, in grey or RGB, in its size."""

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
"""Reduced by at least so much afterwards, a JPEG decoded at a fraction of its size hardly differs."""

Picture = NDArray[np.uint8]  # (C, H, W)


@dataclass(frozen=True)
class Decoding:
    """What files become. Turned ones are seen upright (EXIF), without their alpha channel, if they have one."""

    colour: Literal["grey", "rgb"]
    size: tuple[int, int] | None = None
    """Height and width that every image becomes, whatever its aspect."""
    short_side: int | None = None
    """Pixels that the short side becomes, the long one in proportion; where `size` is None."""
    enlarge: bool = True
    """Whether images with a shorter side than `short_side` are enlarged to it, or stay as they are."""
    interpolation: Interpolation = "bilinear"
    exact: bool = True
    """Whether the whole image is decoded and then resized, as an artifact's users do it. Else large images are first
    reduced in the quickest way, JPEGs while they are decoded, to no less than twice the size that is wanted.
    """


def upright(image: Image.Image, colour: Literal["grey", "rgb"]) -> Image.Image:
    """The image as it is meant to be looked at, turned as its EXIF data say, in grey or RGB as Pillow converts it.

    An alpha channel is dropped, as torchvision's ImageFolder drops it, so that networks which were trained elsewhere
    and those who feed an artifact see the same pixels.

    It may be the image itself, changed.

    Raises:
        ValueError: its pixels have no stated white.
    """
    ImageOps.exif_transpose(image, in_place=True)
    mode = "L" if colour == "grey" else "RGB"
    if image.mode.startswith("I;16"):
        # Pillow would show all that is brighter than 255 of 65,535 as white
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixels of mode {image.mode} have no defined white level; use 8 or 16 bits per channel")
    # Pillow would warn of a palette's, and drop it all the same
    image.info.pop("transparency", None)
    return image if image.mode == mode else image.convert(mode)


def resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    """The image in the size that `decoding` says."""
    return in_size(image, image.size, decoding)


def in_size(image: Image.Image, stored: tuple[int, int], decoding: Decoding) -> Image.Image:
    """An image, perhaps already reduced from its stored width and height, in the size that it becomes."""
    size = wanted(stored, decoding)
    if image.size == size:
        return image
    return image.resize(
        size, FILTERS[decoding.interpolation], reducing_gap=None if decoding.exact else REDUCED_AFTERWARDS
    )


def wanted(stored: tuple[int, int], decoding: Decoding) -> tuple[int, int]:
    """Width and height that an image of this width and height becomes."""
    if decoding.size is not None:
        return decoding.size[1], decoding.size[0]
    short, (width, height) = decoding.short_side, stored
    if short is None or (not decoding.enlarge and min(stored) <= short):
        return stored
    # rounded down, as torchvision does
    return (short, short * height // width) if width <= height else (short * width // height, short)


def picture(image: Image.Image) -> Picture:
    """The pixels (C, H, W) of an image in grey or RGB; they lie as (H, W, C) in memory."""
    pixels = np.array(image)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
