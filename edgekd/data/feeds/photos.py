"""Image files in a folder, with a folder for each class or not, as a given file takes them. Imports no torch."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.data.chosen import chosen
from edgekd.data.contents import contents
from edgekd.data.cropping import CentreCrop, evaluation
from edgekd.data.decoding import decoded
from edgekd.data.feeds.feeds import Array, Feeds, FeedSplits, Indices, halves
from edgekd.data.pictures import normalised
from edgekd.data.sources._class_folders import LeftOut, every_image, shown
from edgekd.data.sources._headers import header, notes
from edgekd.data.sources._splits import found_splits
from edgekd.errors import EdgekdError
from edgekd.files import is_folder
from edgekd.values import Data, Preprocessing
from edgekd.values.data import Colour
from edgekd.values.given import Takes

MOST = 2_000
"""Images of each split that are used: more take longer and change little."""


def photo_feeds(where: str, takes: Takes, stated: Data) -> FeedSplits:
    """The images of a folder.

    Args:
        where: the folder.
        takes: what they are fed to.
        stated: how they are prepared; see `stated.as_stated`.

    Raises:
        EdgekdError: there is no such folder, or no image in it.
        StorageError: an image can't be read.
    """
    folder = Path(os.path.expanduser(where))  # noqa: PTH111 - Path.expanduser raises if there is no such home
    if not is_folder(folder):
        raise EdgekdError(f"folder:{shown(where)}: no such folder", "Give a folder with images.")
    found = _found(folder)
    colour: Colour = "grey" if takes.image[0] == 1 else "rgb"
    headers = [header(path) for path in found.paths]
    how = chosen(stated, [(one.height, one.width) for one in headers], colour)
    assert isinstance(stated.mean, tuple)
    assert isinstance(stated.std, tuple)
    how = how.model_copy(update={"mean": stated.mean, "std": stated.std})
    content = [*contents(found.paths, folder), how.model_dump_json(), takes.model_dump_json()]
    digest = hashlib.sha256("\n".join(content).encode()).hexdigest()
    reader = _Reader(found.paths, how, takes)
    labels = None if found.labels is None else np.array(found.labels, np.int64)
    ours, theirs = (Feeds(digest, reader, part, None if labels is None else labels[part]) for part in found.parts)
    told = (*found.notes, *notes(headers, colour), _prepared(how, takes))
    return FeedSplits(ours, theirs, f"folder:{shown(where)}", found.classes, told)


@dataclass(frozen=True)
class _Found:
    paths: Sequence[Path]
    labels: list[int] | None
    classes: tuple[str, ...] | None
    parts: tuple[Indices, Indices]
    """To calibrate on, and to compare on."""
    notes: tuple[str, ...]


def _found(folder: Path) -> _Found:
    left_out = LeftOut()
    try:
        splits = found_splits(folder, left_out).splits
    except EdgekdError as e:
        return _unlabelled(folder, e.message)
    classes = tuple(splits["train"])
    listed = {
        split: [(path, classes.index(name)) for name, some in files.items() for path in some]
        for split, files in splits.items()
    }
    some = {split: _spread(len(those)) for split, those in listed.items()}
    other = next((split for split in ("val", "test") if split in listed), None)
    if other is None:
        taken = [listed["train"][i] for i in some["train"]]
        parts = halves(len(taken))
    else:
        taken = [*(listed["train"][i] for i in some["train"]), *(listed[other][i] for i in some[other])]
        ordered, first = np.arange(len(taken)), len(some["train"])
        parts = ordered[:first], ordered[first:]
    paths, labels = [path for path, _ in taken], [label for _, label in taken]
    return _Found(paths, labels, classes, parts, tuple(left_out.notes()))


def _unlabelled(folder: Path, why: str) -> _Found:
    left_out = LeftOut()
    paths = every_image(folder, left_out)
    if not paths:
        raise EdgekdError(f"{shown(folder)}: no images in it", "Give a folder with images, such as photos of the task.")
    taken = [paths[i] for i in _spread(len(paths))]
    told = [f"labels aren't known ({why}), so accuracy isn't either", *left_out.notes()]
    if len(taken) == 1:
        told.append("there is one image alone: it calibrates, and outputs are compared on it as well")
    return _Found(taken, None, None, halves(len(taken)), tuple(told))


def _spread(count: int) -> list[int]:
    """Positions in an order that doesn't follow the classes, at most `MOST`; always the same ones."""
    return [int(i) for i in np.random.default_rng(1).permutation(count)[:MOST]]


@dataclass(frozen=True)
class _Reader:
    """Decodes images, and gives them in the type and layout that a file takes."""

    paths: Sequence[Path]
    how: Preprocessing
    takes: Takes

    def __call__(self, indices: Indices) -> Array:
        crop = CentreCrop(self.how.height, self.how.width)
        ((pictures),) = decoded(self.paths, evaluation(self.how), [indices], crop)
        pixels: Array = np.stack(pictures)
        if self.takes.dtype != "uint8":
            pixels = normalised(pixels, self.how.mean, self.how.std)
        return pixels if self.takes.layout == "NCHW" else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def _prepared(how: Preprocessing, takes: Takes) -> str:
    size = f"{how.height}x{how.width}"
    first = (
        f"the short side becomes {how.resize} pixels and the centre of {size} is cut out"
        if how.crop == "center"
        else f"resized to {size}"
    )
    values = "pixels from 0 to 255"
    if takes.dtype != "uint8":
        mean, std = (" ".join(f"{value:.4g}" for value in values) for values in (how.mean, how.std))
        values = f"(pixel / 255 - mean {mean}) / {std}"
    return f"images: {first} ({how.interpolation}); {how.colour}; {values}"
