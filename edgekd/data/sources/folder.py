"""Images in class folders: PATH/{train,val,test}/CLASS/*.png, or PATH/CLASS/*.png, which edgekd splits.

Without a val folder, a tenth of train is the validation split; without any, 70 / 10 / 20 % are for training, validation
and test. Identical files are put into the same split.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.data.chosen import PHOTO_CROP, chosen, needs_measuring, normalisation, varying
from edgekd.data.contents import contents
from edgekd.data.cropping import CentreCrop, evaluation
from edgekd.data.dataset import Augmentation, Dataset, fingerprinted
from edgekd.data.decoding import decoded, notes_on_room
from edgekd.data.folder_images import FolderImages, seen_by
from edgekd.data.sources._class_folders import Files, LeftOut, shown
from edgekd.data.sources._duplicates import copies, notes_on_copies
from edgekd.data.sources._headers import Header, header, notes
from edgekd.data.sources._splits import found_splits
from edgekd.data.splits import stratified
from edgekd.data.views import in_batches, statistics_of
from edgekd.errors import EdgekdError
from edgekd.files import is_folder
from edgekd.values import Data, Preprocessing

WHERE = "PATH"
# with more images, mean and deviation hardly change
_STATISTICS_IMAGES = 2_000
Listed = tuple[list[Path], Tensor]
"""Images with their labels (N,) int64."""


def load(*, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
    """The images below the path `where`; `root` is not used."""
    if shown(where) != where:
        # the path is written to the run's recipe, which is UTF-8
        raise EdgekdError(f"folder:{shown(where)}: the path isn't UTF-8", "Give a link to it with a UTF-8 path.")
    folder = Path(os.path.expanduser(where))  # noqa: PTH111 - Path.expanduser raises if there is no such home
    if not is_folder(folder):
        raise EdgekdError(f"folder:{shown(where)}: no such folder", "Give a folder that holds one folder per class.")
    left_out = LeftOut()
    found = found_splits(folder, left_out)
    classes = tuple(found.splits["train"])
    given = {split: _flat(files, classes) for split, files in found.splits.items()}
    paths = [path for some, _ in given.values() for path in some]
    content = dict(zip(paths, contents(paths, folder), strict=True))
    splits = _cut(given, content, seed, folder, classes)
    headers = {path: header(path) for path in paths}
    how = _chosen(stated, [*headers.values()], splits["train"][0])
    default = Augmentation(pad=how.height // 16, flip=False, crop=PHOTO_CROP if how.crop == "center" else None)
    vary = varying(stated, default)
    told = [*found.notes, *left_out.notes(), *notes([*headers.values()], how.colour or "rgb")]
    told += notes_on_copies({s: {p: content[p] for p in some} for s, (some, _) in splits.items()}, folder, stated)
    sizes = [(headers[path].height, headers[path].width) for path in splits["train"][0]]
    told += notes_on_room(sizes, seen_by(how, vary))
    images = {s: FolderImages(tuple(some), labels, how) for s, (some, labels) in splits.items()}
    data = Dataset(
        name=f"folder:{shown(where)}",
        classes=tuple(shown(name) for name in classes),
        train=images["train"],
        val=images["val"],
        test=images["test"],
        augmentation=vary,
        mean=how.mean,
        std=how.std,
        fingerprint="",
        preprocessing=how,
        notes=tuple(told),
        content=_content(folder, splits, content),
    )
    return fingerprinted(data)


def _flat(files: Files, classes: tuple[str, ...]) -> Listed:
    labels = [n for n, name in enumerate(classes) for _ in files.get(name, [])]
    return [path for name in classes for path in files.get(name, [])], torch.tensor(labels)


def _cut(
    given: dict[str, Listed], content: dict[Path, str], seed: int, folder: Path, classes: tuple[str, ...]
) -> dict[str, Listed]:
    """The given splits, and the missing ones taken from the training images."""
    fractions = {} if "val" in given else {"val": 0.1}
    if "test" not in given:
        fractions["test"] = 0.2
    if not fractions:
        return given
    paths, labels = given["train"]
    first = copies([content[path] for path in paths])
    unique = torch.tensor([i for i, original in enumerate(first) if i == original])
    counts = torch.bincount(labels[unique], minlength=len(classes)).tolist()
    least = 1 + len(fractions)
    for name, count in zip(classes, counts, strict=True):
        if count < least:
            splits = " and ".join({"val": "validation", "test": "test"}[split] for split in fractions)
            own = (path.parent for path, label in zip(paths, labels.tolist(), strict=True) if classes[label] == name)
            where = next(own, folder / name)
            what = f"{shown(where)}: {count} images can't be split into training, {splits}"
            raise EdgekdError(what, f"Every class needs at least {least} different images.")
    cut = dict(given)
    parts = stratified(labels[unique], [*fractions.values()], seed)
    for split, part in zip(("train", *fractions), parts, strict=True):
        chosen_ones = set(unique[part].tolist())
        indices = [i for i, original in enumerate(first) if original in chosen_ones]
        cut[split] = [paths[i] for i in indices], labels[indices]
    return cut


def _chosen(stated: Data, headers: list[Header], paths: list[Path]) -> Preprocessing:
    """How images with these headers are prepared; unless stated, mean and deviation are measured on the training images
    `paths`.
    """
    sizes = [(h.height, h.width) for h in headers]
    how = chosen(stated, sizes, "grey" if all(h.grey for h in headers) else "rgb")
    channels = 1 if how.colour == "grey" else 3
    measured = _statistics(paths, how) if needs_measuring(stated) else ((), ())
    mean, std = normalisation(stated, channels, measured)
    return how.model_copy(update={"mean": mean, "std": std})


def _statistics(paths: list[Path], how: Preprocessing) -> tuple[tuple[float, ...], tuple[float, ...]]:
    step = -(-len(paths) // _STATISTICS_IMAGES)
    batches = in_batches(np.arange(0, len(paths), step), 16)
    pictures = decoded(paths, evaluation(how), batches, CentreCrop(how.height, how.width))
    return statistics_of(np.stack(some) for some in pictures)


def _content(folder: Path, splits: dict[str, Listed], content: dict[Path, str]) -> str:
    """A hash of the names and contents of the files."""
    digest = hashlib.sha256(b"folder")
    for split in ("train", "val", "test"):
        for path, label in zip(splits[split][0], splits[split][1].tolist(), strict=True):
            name = os.fsencode(path.relative_to(folder).as_posix())
            digest.update(b"\n%s %d %s %s" % (split.encode(), label, name, content[path].encode()))
    return digest.hexdigest()
