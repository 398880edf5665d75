"""Images in files, decoded by the worker processes of a torch DataLoader and augmented a batch at a time."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader

from edgekd.data.dataset import View
from edgekd.data.views import Indices, Pixels, augment, in_batches, normalise, shown
from edgekd.errors import StorageError

# what PIL raises for files that aren't images, or are damaged
DECODING_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# starting worker processes takes longer than decoding fewer images than this
_WORTH_WORKERS = 256
_MOST_WORKERS = 4


@dataclass(frozen=True, eq=False)
class FolderImages:
    """One split in files of equal size; satisfies `dataset.Images`."""

    paths: tuple[Path, ...]
    labels: Tensor  # (N,) int64
    shape: tuple[int, int, int]  # channels, height, width; decoded as grey with one channel, else as RGB
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `dataset.Images.batches`.

        Raises:
            StorageError: a file can't be decoded.
        """
        if view is None:
            order = in_batches(np.arange(len(self)), batch_size)
            for indices, pixels in zip(order, decoded(self.paths, self.shape[0], order), strict=True):
                yield normalise(pixels, self.mean, self.std), self.labels[indices]
            return
        drawn, order = shown(view, len(self), batch_size)
        for indices, pixels in zip(order, decoded(self.paths, self.shape[0], order), strict=True):
            seen = augment(pixels, indices, drawn, view.augmentation.pad)
            yield normalise(seen, self.mean, self.std), self.labels[indices]


def decoded(paths: Sequence[Path], channels: int, batches: Sequence[Indices]) -> Iterator[Pixels]:
    """The images at these indices of `paths`, batch after batch.

    Raises:
        StorageError: a file can't be decoded.
    """
    images = sum(map(len, batches))
    loader: DataLoader[Tensor] = DataLoader(
        _Files(tuple(paths), channels),  # type: ignore[arg-type]  # a sequence is a map-style data set
        batch_sampler=[indices.tolist() for indices in batches],
        collate_fn=_collate,
        num_workers=min(_MOST_WORKERS, os.cpu_count() or 1) if images >= _WORTH_WORKERS else 0,
        # its own, so that reading images doesn't advance the generator that everybody shares
        generator=torch.Generator(),
    )
    for batch in loader:
        if isinstance(batch, StorageError):
            raise batch
        yield batch.numpy()


@dataclass(frozen=True)
class _Files:
    paths: tuple[Path, ...]
    channels: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor | StorageError:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                pixels = np.array(image.convert("L" if self.channels == 1 else "RGB"))
        except DECODING_ERRORS as e:
            # given back, not raised: a worker process would lose the hint
            return unreadable(path, e)
        height, width = pixels.shape[:2]
        return torch.from_numpy(pixels).reshape(height, width, self.channels).permute(2, 0, 1)


def _collate(items: list[Tensor | StorageError]) -> Tensor | StorageError:
    for item in items:
        if isinstance(item, StorageError):
            return item
    return torch.stack([item for item in items if isinstance(item, Tensor)])


def unreadable(path: Path, error: BaseException) -> StorageError:
    """The error for an image that can't be decoded."""
    return StorageError(f"{path}: can't be read as an image: {error}", "Replace the file, or remove it.")
