"""Image files to pixels, by threads: what takes time in Pillow runs outside Python's lock.

Threads need neither shared memory nor pipes, and none can outlive its process. What they decoded is kept on disk by
`pixel_cache`, so that later epochs and runs only read it.
"""

import functools
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, features
from PIL import __version__ as pillow_version

from edgekd.data.pixel_cache import PixelCache, image_key, pixel_cache, settled_key
from edgekd.data.threads import Room, in_turn
from edgekd.data.views import Indices
from edgekd.errors import StorageError
from edgekd.schema.data import Interpolation

# what PIL raises for files that aren't images, or are damaged
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    RuntimeError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# decoding less takes no longer than reading it
_WORTH_KEEPING_BYTES = 16_384
# what is decoded at once, of 4 bytes each and twice that while an image is turned: with 8 threads and photos of 50
# megapixels a container of 2 GB still has room for the training
_MOST_PIXELS = 64_000_000
# reduced by at least so much afterwards, a JPEG decoded at a fraction of its size hardly differs
_REDUCED_AFTERWARDS = 2.0

Picture = NDArray[np.uint8]  # (C, H, W)
Finish = Callable[[int, Picture], Picture]
"""What is done to the decoded image of this index, in the thread that decoded it."""


@dataclass(frozen=True)
class Decoding:
    """What files become. Transparent images are seen on black, turned ones upright (EXIF)."""

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


def decoded(
    paths: Sequence[Path], decoding: Decoding, batches: Sequence[Indices], finish: Finish | None = None
) -> Iterator[list[Picture]]:
    """The images at these indices of `paths`, batch after batch, each possibly of another size.

    They are views of pixels that lie as (H, W, C) in memory.

    Raises:
        StorageError: a file can't be decoded.
    """
    cache, room = pixel_cache(), Room(_MOST_PIXELS)
    Image.preinit()  # registers Pillow's formats, once and not by several threads

    def image(index: int) -> Picture:
        picture = _read(paths[index], decoding, cache, room)
        return finish(index, picture) if finish else picture

    yield from in_turn(image, batches)


def _read(path: Path, decoding: Decoding, cache: PixelCache | None, room: Room) -> Picture:
    try:
        key = image_key(path, _how(decoding))
        pixels = cache.read(key) if cache else None
        if pixels is None:
            pixels = _decoded(path, decoding, room).transpose(1, 2, 0)
            # changed meanwhile, or so lately that the same time may stand on another content: not what the key says
            if cache and pixels.nbytes >= _WORTH_KEEPING_BYTES and settled_key(path, _how(decoding)) == key:
                cache.keep(key, pixels)
    except DECODING_ERRORS as e:
        raise unreadable(path, e) from e
    return pixels.transpose(2, 0, 1)


def notes_on_room(sizes: Sequence[tuple[int, int]], decoding: Decoding) -> list[str]:
    """What to tell of images of these heights and widths if, decoded, they are more than is kept."""
    cache = pixel_cache()
    shapes = (_wanted((width, height), decoding) for height, width in sizes)
    needed = (1 if decoding.colour == "grey" else 3) * sum(width * height for width, height in shapes)
    if cache is None or needed <= cache.most_bytes:
        return []
    kept = f"the training images decoded take {needed / 1e9:.1f} GB, of which {cache.most_bytes / 1e9:.1f} GB are kept"
    return [f"{kept}: the others are decoded in every epoch; EDGEKD_PIXELS_GB sets how much is kept"]


@functools.cache
def _how(decoding: Decoding) -> str:
    """What decides the pixels beside the file: another decoder may round otherwise."""
    return f"{decoding!r} Pillow {pillow_version} libjpeg {features.version('libjpeg_turbo')}"


def _decoded(path: Path, decoding: Decoding, room: Room) -> Picture:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")  # a pipe would be waited for
    with Image.open(path) as image:
        stored = image.size
        if not decoding.exact:
            # a square, because the image may lie on its side
            least = max(decoding.size) if decoding.size else min(_wanted(stored, decoding))
            image.draft(None, (round(_REDUCED_AFTERWARDS * least),) * 2)
        with room.taken(image.width * image.height):
            drafted = image.size
            seen = upright(image, decoding.colour)
            return picture(_in_size(seen, stored if seen.size == drafted else stored[::-1], decoding))


def upright(image: Image.Image, colour: Literal["grey", "rgb"]) -> Image.Image:
    """The image as it is meant to be looked at: turned as its EXIF data say, on black where it is transparent.

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
        raise ValueError(f"pixels of mode {image.mode} have no stated white; 8 or 16 bits a channel have")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image if image.mode == mode else image.convert(mode)


def resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    """The image in the size that `decoding` says."""
    return _in_size(image, image.size, decoding)


def _in_size(image: Image.Image, stored: tuple[int, int], decoding: Decoding) -> Image.Image:
    """An image, perhaps already reduced from its stored width and height, in the size that it becomes."""
    size = _wanted(stored, decoding)
    if image.size == size:
        return image
    return image.resize(
        size, FILTERS[decoding.interpolation], reducing_gap=None if decoding.exact else _REDUCED_AFTERWARDS
    )


def _wanted(stored: tuple[int, int], decoding: Decoding) -> tuple[int, int]:
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


def unreadable(path: Path, error: BaseException) -> StorageError:
    """The error for an image that can't be decoded."""
    return StorageError(f"{path}: can't be read as an image: {error}", "Replace the file, or remove it.")
