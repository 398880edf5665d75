"""Images in files, decoded when they are wanted and augmented a batch at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from edgekd.data.dataset import View
from edgekd.data.decoding import Decoding, decoded
from edgekd.data.views import augment, in_batches, normalise, shown


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
        decoding = Decoding("grey" if self.shape[0] == 1 else "rgb")
        if view is None:
            order = in_batches(np.arange(len(self)), batch_size)
            for indices, pictures in zip(order, decoded(self.paths, decoding, order), strict=True):
                yield normalise(np.stack(pictures), self.mean, self.std), self.labels[indices]
            return
        drawn, order = shown(view, len(self), batch_size)
        for indices, pictures in zip(order, decoded(self.paths, decoding, order), strict=True):
            seen = augment(np.stack(pictures), indices, drawn, view.augmentation.pad)
            yield normalise(seen, self.mean, self.std), self.labels[indices]
