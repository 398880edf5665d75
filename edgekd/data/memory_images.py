"""Images that are kept in memory as bytes and augmented a batch at a time, without Python for single images."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from edgekd.data.dataset import Augmentation, Dataset, View, fingerprinted
from edgekd.data.variation import varied
from edgekd.data.views import Pixels, augment, channel_statistics, normalise, shown

Split = tuple[Pixels, Tensor]
"""Images (N, C, H, W) uint8 and labels (N,) int64."""


@dataclass(frozen=True, eq=False)
class MemoryImages:
    """One split in memory; satisfies `dataset.Images`."""

    pixels: Pixels
    labels: Tensor  # (N,) int64
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.pixels.shape[1:]
        return channels, height, width

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `dataset.Images.batches`."""
        if view is None:
            for start in range(0, len(self), batch_size):
                part = slice(start, start + batch_size)
                yield normalise(self.pixels[part], self.mean, self.std), self.labels[part]
            return
        drawn, batches = shown(view, len(self), batch_size)
        vary = varied(view, len(self), self.shape[1:])
        for indices in batches:
            some = self.pixels[indices]
            if vary:
                some = np.stack([vary(index, image) for index, image in zip(indices.tolist(), some, strict=True)])
            pixels = augment(some, indices, drawn, view.augmentation.pad)
            yield normalise(pixels, self.mean, self.std), self.labels[indices]


def dataset_in_memory(
    name: str, classes: tuple[str, ...], splits: Mapping[str, Split], augmentation: Augmentation
) -> Dataset:
    """The data set of the splits "train", "val" and "test", normalised by mean and deviation of the training split."""
    mean, std = channel_statistics(splits["train"][0])
    images = {split: MemoryImages(pixels, labels, mean, std) for split, (pixels, labels) in splits.items()}
    data = Dataset(
        name=name,
        classes=classes,
        train=images["train"],
        val=images["val"],
        test=images["test"],
        augmentation=augmentation,
        mean=mean,
        std=std,
        fingerprint=content_of(name, splits),
    )
    return fingerprinted(data)


def part(split: Split, indices: Tensor) -> Split:
    """Those images and labels."""
    return split[0][indices.numpy()], split[1][indices]


def content_of(name: str, splits: Mapping[str, Split]) -> str:
    """The sha256 of all pixels and labels."""
    digest = hashlib.sha256(name.encode())
    for split in ("train", "val", "test"):
        pixels, labels = splits[split]
        digest.update(f" {split} {pixels.shape} ".encode())
        digest.update(np.ascontiguousarray(pixels).data)
        digest.update(labels.numpy().astype("<i8").data)
    return digest.hexdigest()
