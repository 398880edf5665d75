"""Some images of a split, always the same ones: for calibration, and for comparing what computes the same."""

import numpy as np
from numpy.typing import NDArray

from edgekd.data.dataset import Augmentation, Images, View


def sample_images(images: Images, count: int) -> NDArray[np.float32]:
    """Up to `count` images (N, C, H, W), always the same ones in the same order, of which the first few are of all
    classes too; not augmented.
    """
    return labelled(images, count)[0]


def labelled(images: Images, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The images of `sample_images` with their labels (N,)."""
    # shuffled, since folders are sorted by class; a view leaves out the last batch, which counts in a small split
    view = View(Augmentation(pad=0, flip=False), seed=0, epoch=0) if len(images) > count else None
    count, kept = min(count, len(images)), 0
    places = np.arange(count) if view else np.random.default_rng(0).permutation(count)
    # filled in place: joining batches would take the memory of photos twice
    pixels, labels = np.empty((count, *images.shape), np.float32), np.empty(count, np.int64)
    for x, y in images.batches(min(64, count), view):
        more = min(len(x), count - kept)
        here = places[kept : kept + more]
        pixels[here], labels[here] = x[:more], y[:more]
        kept += more
        if kept == count:
            break
    return pixels[:kept], labels[:kept]
