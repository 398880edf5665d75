"""What a data set that a user's own code makes consists of, found by looking at it."""

import hashlib
from dataclasses import replace

import numpy as np
from torch import Tensor

from edgekd.data.checked import SPLITS, require_sound
from edgekd.data.contents import contents
from edgekd.data.dataset import Augmentation, Dataset, Images, View
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.errors import EdgekdError
from edgekd.seeds import seeded
from edgekd.values import document

_MOST_BYTES = 2_000_000_000
"""Of a split's images as float32 that are hashed: some seconds, unless making them takes longer."""
_BATCH = 64


def sampled(data: Dataset) -> Dataset:
    """The data set with a content that follows from its images, whatever fingerprint its maker states: all pixels in
    memory, all bytes of files, else what `batches` gives without a view, up to 2 GB a split, and the first batch of a
    view that varies nothing, and of one of training.

    Raises:
        EdgekdError: its images and labels aren't what they should be, or can't be read.
    """
    try:
        require_sound(data)
        return _sampled(data)
    except EdgekdError:
        raise
    except Exception as e:  # the user's own code may raise anything
        what = f"data set {data.name}: its images can't be read: {type(e).__name__}: {e}"
        raise EdgekdError(what, "They must implement edgekd.data.dataset.Images.") from e


def _sampled(data: Dataset) -> Dataset:
    digest = hashlib.sha256(f"{data.fingerprint} {data.classes}".encode())
    notes = list(data.notes)
    for split in SPLITS:
        images: Images = getattr(data, split)
        digest.update(f"\n{split} {len(images)} {images.shape} ".encode())
        digest.update(images.labels.numpy().astype("<i8").tobytes())
        if isinstance(images, MemoryImages):
            digest.update(np.ascontiguousarray(images.pixels).data)
            digest.update(f"{images.mean} {images.std}".encode())
        elif isinstance(images, FolderImages):
            digest.update(" ".join(contents(images.paths, images.paths[0].parent)).encode())
            digest.update(str(document(images.preprocessing)).encode())
        else:
            seen = _hash_batches(digest, data, split)
            if seen < len(images):
                notes.append(f"{seen:,} of {len(images):,} {split} images were hashed to detect changes")
    return replace(data, content=digest.hexdigest(), notes=tuple(notes))


def _hash_batches(digest: "hashlib._Hash", data: Dataset, split: str) -> int:
    """Adds a split's images in their order and the first batches of views; returns how many of those in order."""
    images: Images = getattr(data, split)
    seen = volume = 0
    for batch, labels in images.batches(_BATCH):
        _add(digest, batch, labels)
        seen += len(batch)
        volume += batch.numel() * 4
        if volume > _MOST_BYTES:
            break
    else:
        if seen != len(images):
            what = f"data set {data.name}: len() of the {split} images is {len(images)}, but batches() yields {seen}"
            raise EdgekdError(what, "Without a view, batches() must yield all images in order.")
    plain = View(Augmentation(pad=0, flip=False), seed=0, epoch=0)
    # the other splits are never varied
    for view in (plain, View(data.augmentation, seed=0, epoch=1)) if split == "train" else (plain,):
        # all of it should follow from the view, but a user's code may draw from what all share
        with seeded(0):
            for batch, labels in images.batches(_BATCH, view):
                _add(digest, batch, labels)
                break
    return seen


def _add(digest: "hashlib._Hash", images: Tensor, labels: Tensor) -> None:
    digest.update(np.ascontiguousarray(images.numpy()).data)
    digest.update(labels.numpy().astype("<i8").tobytes())
