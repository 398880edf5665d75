"""Image files to pixels, by threads: what takes time in Pillow runs outside Python's lock.

Threads need neither shared memory nor pipes, and none can outlive its process. What they decoded is kept on disk by
`pixel_cache`, so that later epochs and runs only read it.
"""

import functools
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image, features
from PIL import __version__ as pillow_version

from edgekd.data.pictures import REDUCED_AFTERWARDS, Decoding, Picture, in_size, picture, upright, wanted
from edgekd.data.pixel_cache import PixelCache, image_key, pixel_cache, settled_key
from edgekd.data.threads import Indices, Room, in_turn
from edgekd.errors import StorageError

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
# decoding less takes no longer than reading it
_WORTH_KEEPING_BYTES = 16_384
# what is decoded at once, of 4 bytes each and twice that while an image is turned: with 8 threads and photos of 50
# megapixels a container of 2 GB still has room for the training
_MOST_PIXELS = 64_000_000
_WAY = 2
"""Of making pixels of a file, as this edgekd does it: what was kept by another one isn't found again."""
Finish = Callable[[int, Picture], Picture]
"""What is done to the decoded image of this index, in the thread that decoded it."""


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
    shapes = (wanted((width, height), decoding) for height, width in sizes)
    needed = (1 if decoding.colour == "grey" else 3) * sum(width * height for width, height in shapes)
    if cache is None or needed <= cache.most_bytes:
        return []
    kept = (
        f"the decoded training images need {needed / 1e9:.1f} GB, of which {cache.most_bytes / 1e9:.1f} GB are cached"
    )
    return [f"{kept}: the others are decoded in every epoch; EDGEKD_PIXELS_GB sets the size of the cache"]


@functools.cache
def _how(decoding: Decoding) -> str:
    """What decides the pixels beside the file: another decoder may round otherwise."""
    return f"{_WAY} {decoding!r} Pillow {pillow_version} libjpeg {features.version('libjpeg_turbo')}"


def _decoded(path: Path, decoding: Decoding, room: Room) -> Picture:
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("not a regular file")  # a pipe would be waited for
    with Image.open(path) as image:
        stored = image.size
        if not decoding.exact:
            # a square, because the image may lie on its side
            least = max(decoding.size) if decoding.size else min(wanted(stored, decoding))
            image.draft(None, (round(REDUCED_AFTERWARDS * least),) * 2)
        with room.taken(image.width * image.height):
            drafted = image.size
            seen = upright(image, decoding.colour)
            return picture(in_size(seen, stored if seen.size == drafted else stored[::-1], decoding))


def unreadable(path: Path, error: BaseException) -> StorageError:
    """The error for an image that can't be decoded."""
    return StorageError(f"{path}: can't be read as an image: {error}", "Replace or remove the file.")
