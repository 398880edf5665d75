"""Images in files, decoded when they are wanted and augmented a batch at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from edgekd.data.cropping import CentreCrop, evaluation
from edgekd.data.dataset import Augmentation, View
from edgekd.data.decoding import Finish, decoded
from edgekd.data.pictures import Decoding, Picture
from edgekd.data.variation import varied
from edgekd.data.views import augment, in_batches, normalise, shown
from edgekd.values import Preprocessing


@dataclass(frozen=True, eq=False)
class FolderImages:
    """One split in files of any size; satisfies `dataset.Images`."""

    paths: tuple[Path, ...]
    labels: Tensor  # (N,) int64
    preprocessing: Preprocessing

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return 1 if self.preprocessing.colour == "grey" else 3, self.preprocessing.height, self.preprocessing.width

    def __len__(self) -> int:
        return len(self.paths)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `dataset.Images.batches`.

        Raises:
            StorageError: a file can't be decoded.
        """
        how = self.preprocessing
        if view is None:
            order = in_batches(np.arange(len(self)), batch_size)
            pictures = decoded(self.paths, evaluation(how), order, CentreCrop(how.height, how.width))
            for indices, some in zip(order, pictures, strict=True):
                yield normalise(np.stack(some), how.mean, how.std), self.labels[indices]
            return
        drawn, order = shown(view, len(self), batch_size)
        pictures = decoded(self.paths, seen_by(how, view.augmentation), order, _finish(view, len(self), how))
        for indices, some in zip(order, pictures, strict=True):
            seen = augment(np.stack(some), indices, drawn, view.augmentation.pad)
            yield normalise(seen, how.mean, how.std), self.labels[indices]


def seen_by(how: Preprocessing, vary: Augmentation) -> Decoding:
    """What files become before training changes them like that."""
    return evaluation(how) if vary.crop is None else training(how, vary.crop[0])


def training(how: Preprocessing, least_area: float) -> Decoding:
    """What files become before a part of at least that fraction is cut out: no larger than that part needs."""
    side = math.ceil(max(how.height, how.width) / math.sqrt(least_area))
    return Decoding(how.colour or "rgb", short_side=side, enlarge=False, interpolation=how.interpolation, exact=False)


@dataclass(frozen=True)
class _Then:
    """One after the other."""

    first: Finish
    second: Finish

    def __call__(self, index: int, pixels: Picture) -> Picture:
        return self.second(index, self.first(index, pixels))


def _finish(view: View, images: int, how: Preprocessing) -> Finish:
    """What the view does to each decoded image."""
    vary = varied(view, images, (how.height, how.width), how.interpolation)
    if vary is not None and view.augmentation.crop is not None:
        return vary
    centre = CentreCrop(how.height, how.width)
    return _Then(centre, vary) if vary else centre
