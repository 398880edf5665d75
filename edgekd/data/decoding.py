"""Image files to pixels, by the worker processes of a torch DataLoader."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torch.utils.data import DataLoader

from edgekd.data.views import Indices
from edgekd.errors import StorageError
from edgekd.schema.data import Interpolation

# what PIL raises for files that aren't images, or are damaged
DECODING_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# starting worker processes takes longer than decoding fewer images than this
_WORTH_WORKERS = 256
_MOST_WORKERS = 4

Picture = NDArray[np.uint8]  # (C, H, W)
Finish = Callable[[int, Picture], Picture]
"""What is done to the decoded image of this index, in the process that decoded it; it must pickle."""


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


def decoded(
    paths: Sequence[Path], decoding: Decoding, batches: Sequence[Indices], finish: Finish | None = None
) -> Iterator[list[Picture]]:
    """The images at these indices of `paths`, batch after batch, each possibly of another size.

    Raises:
        StorageError: a file can't be decoded.
    """
    images = sum(map(len, batches))
    loader: DataLoader[Tensor] = DataLoader(
        _Files(tuple(paths), decoding, finish),  # type: ignore[arg-type]  # a sequence is a map-style data set
        batch_sampler=[indices.tolist() for indices in batches],
        collate_fn=_collate,
        num_workers=min(_MOST_WORKERS, os.cpu_count() or 1) if images >= _WORTH_WORKERS else 0,
        # its own, so that reading images doesn't advance the generator that everybody shares
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, StorageError):
            raise batch
        yield [image.numpy() for image in batch]


@dataclass(frozen=True)
class _Files:
    paths: tuple[Path, ...]
    decoding: Decoding
    finish: Finish | None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor | StorageError:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                pixels = picture(resized(upright(image, self.decoding.colour), self.decoding))
        except DECODING_ERRORS as e:
            # given back, not raised: a worker process would lose the hint
            return unreadable(path, e)
        return torch.from_numpy(self.finish(index, pixels) if self.finish else pixels)


def _collate(items: list[Tensor | StorageError]) -> list[Tensor] | StorageError:
    for item in items:
        if isinstance(item, StorageError):
            return item
    return [item for item in items if isinstance(item, Tensor)]


def upright(image: Image.Image, colour: Literal["grey", "rgb"]) -> Image.Image:
    """The image as it is meant to be looked at: turned as its EXIF data say, on black where it is transparent."""
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("L" if colour == "grey" else "RGB")


def resized(image: Image.Image, decoding: Decoding) -> Image.Image:
    """The image in the size that `decoding` says."""
    width, height = image.size
    if decoding.size is not None:
        height, width = decoding.size
    elif decoding.short_side is not None and (decoding.enlarge or min(image.size) > decoding.short_side):
        short = decoding.short_side
        # rounded down, as torchvision does
        width, height = (short, short * height // width) if width <= height else (short * width // height, short)
    if (width, height) == image.size:
        return image
    return image.resize((width, height), FILTERS[decoding.interpolation])


def picture(image: Image.Image) -> Picture:
    """The pixels (C, H, W) of an image in grey or RGB."""
    pixels = np.array(image)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def unreadable(path: Path, error: BaseException) -> StorageError:
    """The error for an image that can't be decoded."""
    return StorageError(f"{path}: can't be read as an image: {error}", "Replace the file, or remove it.")
