"""A data set's images normalised by another mean and deviation than it says itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from edgekd.data.dataset import Dataset, Images, View, fingerprinted
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.data.normalisation import of_channels


def normalised(data: Dataset, mean: Sequence[float], std: Sequence[float]) -> Dataset:
    """The data set with (pixel / 255 - mean) / std instead of its own normalisation; itself where that is the same.

    Raises:
        EdgekdError: mean or std don't go with the number of channels.
    """
    channels = data.train.shape[0]
    mean, std = of_channels(mean, channels), of_channels(std, channels)
    if (mean, std) == (tuple(data.mean), tuple(data.std)):
        return data
    train, val, test = (_normalised(images, data, mean, std) for images in (data.train, data.val, data.test))
    return fingerprinted(replace(data, train=train, val=val, test=test, mean=mean, std=std))


def _normalised(images: Images, data: Dataset, mean: tuple[float, ...], std: tuple[float, ...]) -> Images:
    if isinstance(images, MemoryImages):
        return replace(images, mean=mean, std=std)
    if isinstance(images, FolderImages):
        how = images.preprocessing.model_copy(update={"mean": mean, "std": std})
        return replace(images, preprocessing=how)
    scale, shift = _by_channel(data.std) / _by_channel(std), (_by_channel(data.mean) - _by_channel(mean))
    return Renormalised(images, scale, shift / _by_channel(std))


@dataclass(frozen=True, eq=False)
class Renormalised:
    """Images of the user's own kind, their values multiplied by `scale` and moved by `shift`, (C, 1, 1) each."""

    images: Images
    scale: Tensor
    shift: Tensor

    @property
    def labels(self) -> Tensor:
        """(N,) int64."""
        return self.images.labels

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.images.shape

    def __len__(self) -> int:
        return len(self.images)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `dataset.Images.batches`."""
        for images, labels in self.images.batches(batch_size, view):
            yield images * self.scale + self.shift, labels


def _by_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(tuple(values), dtype=torch.float32)[:, None, None]
