"""Images in an .npy or .npz file, as a given file takes them."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekd.data.feeds.feeds import Array, Feeds, FeedSplits, Indices, halves
from edgekd.errors import EdgekdError, StorageError
from edgekd.files import require_file, sha256
from edgekd.values.given import Takes

_IMAGES, _LABELS = ("images", "x"), ("labels", "y")
SUFFIXES = (".npy", ".npz")
_HINT = "Write it with numpy.savez(FILE, images=…), or images=… and labels=…, or numpy.save(FILE, …)."


def array_feeds(path: Path, takes: Takes) -> FeedSplits:
    """The images of a file, half of them to calibrate on.

    Args:
        path: an .npy file of images, or an .npz file of `images` and, if they are known, `labels`.
        takes: what they are fed to.

    Raises:
        EdgekdError: there are none, or they aren't what the model takes.
        StorageError: the file can't be read.
    """
    require_file(path, _HINT)
    images, labels = _found(_arrays(path), path, takes)
    images = _as_taken(images, path, takes)
    if labels is not None:
        labels = _checked(labels, len(images), path)
    first, second = halves(len(images))
    content, notes = f"{sha256(path)} {takes.dtype}", []
    if len(images) == 1:
        notes.append("there is one image alone: it calibrates, and outputs are compared on it as well")

    def read(indices: Indices) -> Array:
        return images[indices]

    ours, theirs = (Feeds(content, read, part, None if labels is None else labels[part]) for part in (first, second))
    return FeedSplits(ours, theirs, path.name, notes=tuple(notes))


def _arrays(path: Path) -> dict[str, Array]:
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {_IMAGES[0]: found}
        with found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as e:
        raise StorageError(f"{path}: can't be read as arrays: {e}", _HINT) from e


def _found(arrays: Mapping[str, Array], path: Path, takes: Takes) -> tuple[Array, Array | None]:
    images = [name for name in arrays if name in (*_IMAGES, takes.name)]
    labels = [name for name in arrays if name in _LABELS and name not in images]
    if len(images) != 1 or len(images) + len(labels) != len(arrays) or len(labels) > 1:
        there = ", ".join(arrays) or "no array"
        what = f"{path}: has {there}; it should have 'images' (or {takes.name!r}) and, if they are known, 'labels'"
        raise EdgekdError(what, _HINT)
    return arrays[images[0]], arrays[labels[0]] if labels else None


def _as_taken(images: Array, path: Path, takes: Takes) -> Array:
    if images.ndim == 0 or len(images) == 0:
        raise EdgekdError(f"{path}: has no images", "Give at least one; some hundred are better.")
    if images.shape[1:] != takes.shape[1:]:
        wanted = ", ".join(("N", *map(str, takes.shape[1:])))
        what = f"{path}: has images of the shape {images.shape}, and the model takes ({wanted})"
        raise EdgekdError(what, "Give them as the model is fed.")
    if images.dtype != takes.dtype and not (images.dtype == np.float64 and takes.dtype == "float32"):
        what = f"{path}: has {images.dtype} values, and the model takes {takes.dtype}"
        hint = f"Give the images as the model is fed, normalised, in {takes.dtype}."
        raise EdgekdError(what, hint if takes.dtype == "float32" else "Give pixels from 0 to 255.")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise EdgekdError(f"{path}: has values that are NaN or infinite", "Remove those images.")
    return images.astype(takes.dtype, copy=False)


def _checked(labels: Array, images: int, path: Path) -> Indices:
    if labels.shape != (images,):
        what = f"{path}: has labels of the shape {labels.shape} for {images} images"
        raise EdgekdError(what, "Give one number for each image.")
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise EdgekdError(f"{path}: its labels aren't whole numbers from 0", "Give the position of the right output.")
    return labels.astype(np.int64)
