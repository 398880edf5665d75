"""Randomly augmented views of images, a batch at a time.

All random numbers of a view are drawn for all images at once from a generator seeded with the view's seed and epoch, so
they depend neither on the batch size nor on earlier views.

The arithmetic uses numpy on one thread. These operations are so short that torch's threads, on a loaded machine, wait
for each other far longer than they compute; on an idle machine they are no faster.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor

from edgekd.data.dataset import View
from edgekd.data.pictures import normalised
from edgekd.data.threads import Indices

Pixels = NDArray[np.uint8]  # (N, C, H, W)
# pixels that are converted to floats at once
_STATISTICS_BYTES = 2_000_000


@dataclass(frozen=True, eq=False)
class Draw:
    """The random part of a view of N images, by image; `order` is their order. All are (N,)."""

    order: Indices
    top: Indices
    left: Indices
    flipped: NDArray[np.bool_]


def draw(view: View, images: int) -> Draw:
    """The random part of the view.

    The flip alternates: whether an image is flipped is random in epoch 0 and inverted in every following epoch, so that
    two epochs show both ("alternating flip" of Jordan, "94% on CIFAR-10 in 3.29 Seconds",
    arXiv 2404.00498).
    """
    every_epoch = generator(view.seed, "flip")
    this_epoch = generator(view.seed, f"epoch {view.epoch}")
    positions = 2 * view.augmentation.pad + 1
    flipped = torch.zeros(images, dtype=torch.bool)
    if view.augmentation.flip:
        flipped = torch.randint(2, (images,), generator=every_epoch).bool() ^ bool(view.epoch % 2)
    return Draw(
        order=torch.randperm(images, generator=this_epoch).numpy(),
        top=torch.randint(positions, (images,), generator=this_epoch).numpy(),
        left=torch.randint(positions, (images,), generator=this_epoch).numpy(),
        flipped=flipped.numpy(),
    )


def in_batches(order: Indices, batch_size: int, *, whole: bool = False) -> list[Indices]:
    """The order split into batches; with `whole`, without an incomplete last one unless it is the only one."""
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return batches[:-1] if whole and len(batches) > 1 and len(batches[-1]) < batch_size else batches


def shown(view: View, images: int, batch_size: int) -> tuple[Draw, list[Indices]]:
    """The random part of a view, and the indices of its images, batch by batch."""
    drawn = draw(view, images)
    whole = in_batches(drawn.order, batch_size, whole=True)
    return drawn, [np.array_split(indices, view.parts)[view.part] for indices in whole]


def augment(pixels: Pixels, indices: Indices, drawn: Draw, pad: int) -> Pixels:
    """The view of a batch (B, C, H, W) of the images `indices`: padded with black, cropped, then flipped."""
    count, channels, height, width = pixels.shape
    # not np.pad, which takes as long as everything else here
    padded = np.zeros((count, channels, height + 2 * pad, width + 2 * pad), np.uint8)
    padded[:, :, pad : pad + height, pad : pad + width] = pixels
    # a view of all crops of all images; the indexing copies one of each
    crops = sliding_window_view(padded, (height, width), axis=(2, 3))
    chosen: Pixels = crops[np.arange(count), :, drawn.top[indices], drawn.left[indices]]
    flipped = drawn.flipped[indices]
    chosen[flipped] = chosen[flipped, :, :, ::-1]
    return chosen


def normalise(pixels: Pixels, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`pictures.normalised` as a tensor."""
    return torch.from_numpy(normalised(pixels, mean, std))


def channel_statistics(pixels: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, as fractions of white."""
    # in parts, because float64 takes eight times the memory
    some = max(1, _STATISTICS_BYTES // max(1, pixels[0].nbytes))
    return statistics_of(pixels[start : start + some] for start in range(0, len(pixels), some))


def statistics_of(batches: Iterable[Pixels]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """`channel_statistics` over all images of the batches, of which there is at least one."""
    count, total, squares = 0, np.zeros(1), np.zeros(1)
    for pixels in batches:
        # integers, so the sums are exact in any order
        values = pixels.astype(np.float64)
        total = total + values.sum((0, 2, 3))
        squares = squares + np.square(values).sum((0, 2, 3))
        count += pixels.size // pixels.shape[1]
    means = total / count
    deviations = np.sqrt(np.maximum(squares / count - means**2, 0)) / 255
    # a constant channel is not scaled
    return tuple((means / 255).tolist()), tuple(deviation or 1.0 for deviation in deviations.tolist())


def generator(seed: int, what: str) -> torch.Generator:
    """A generator for one purpose that depends only on the seed."""
    digest = hashlib.sha256(f"{seed} {what}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
