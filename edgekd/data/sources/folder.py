"""Images in class folders: PATH/{train,val,test}/CLASS/*.png, or PATH/CLASS/*.png, of which edgekd makes the splits.

Without a val folder, a tenth of train is the validation split; without any, 70 / 10 / 20 % are for training, validation
and test. Images of all classes have one size; the first one decides whether all are read as grey or as RGB.
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.decoding import Decoding, decoded
from edgekd.data.folder_images import FolderImages
from edgekd.data.sources._class_folders import Files, class_files, common_shape
from edgekd.data.splits import stratified
from edgekd.data.views import channel_statistics, in_batches
from edgekd.errors import EdgekdError

WHERE = "PATH"
# more of them change mean and deviation by less than what they are used for can notice
_STATISTICS_IMAGES = 2_000
_SMALLEST_CLASS = 3
# a page, which was read for the header anyway
_BEGINNING = 4096


def load(*, root: Path | None, download: bool, seed: int, where: str) -> Dataset:
    """The images below `where`, a path of its own; `root` isn't asked."""
    folder = Path(where).expanduser()
    if not folder.is_dir():
        raise EdgekdError(f"folder:{where}: no such folder", "Give a folder that holds one folder per class.")
    splits = _splits(folder, seed)
    classes = tuple(splits["train"])
    listed = {split: _flat(files, classes) for split, files in splits.items()}
    shape = common_shape([path for paths, _ in listed.values() for path in paths])
    mean, std = _statistics(listed["train"][0], shape[0])
    images = {s: FolderImages(tuple(paths), labels, shape, mean, std) for s, (paths, labels) in listed.items()}
    return Dataset(
        name=f"folder:{where}",
        classes=classes,
        train=images["train"],
        val=images["val"],
        test=images["test"],
        augmentation=Augmentation(pad=shape[1] // 16, flip=True),
        mean=mean,
        std=std,
        fingerprint=_fingerprint(folder, listed, shape),
    )


def _splits(folder: Path, seed: int) -> dict[str, Files]:
    given = {split: folder / split for split in ("train", "val", "test") if (folder / split).is_dir()}
    if not given:
        return _cut(class_files(folder), {"val": 0.1, "test": 0.2}, seed, folder)
    for split in ("train", "test"):
        if split not in given:
            raise EdgekdError(f"{folder}: has {', '.join(given)} but no {split}", f"Add {folder / split}.")
    splits = {split: class_files(inside) for split, inside in given.items()}
    for split, files in splits.items():
        if odd := sorted(files.keys() ^ splits["train"].keys()):
            what = f"{given[split]} and {given['train']} hold other classes: {odd[0]!r} is in one alone"
            raise EdgekdError(what, "Give every split the same class folders.")
    if "val" not in splits:
        splits |= _cut(splits["train"], {"val": 0.1}, seed, given["train"])
    return splits


def _cut(files: Files, fractions: dict[str, float], seed: int, folder: Path) -> dict[str, Files]:
    """The files as "train" and one split for each of the fractions."""
    small = [name for name, paths in files.items() if len(paths) < _SMALLEST_CLASS]
    if small:
        what = f"{folder / small[0]}: {len(files[small[0]])} images can't be split into training, validation and test"
        raise EdgekdError(what, f"Every class needs at least {_SMALLEST_CLASS} images.")
    paths, labels = _flat(files, tuple(files))
    names = tuple(files)
    cut: dict[str, Files] = {}
    for split, part in zip(("train", *fractions), stratified(labels, [*fractions.values()], seed), strict=True):
        cut[split] = {name: [paths[i] for i in part[labels[part] == n].tolist()] for n, name in enumerate(names)}
    return cut


def _flat(files: Files, classes: tuple[str, ...]) -> tuple[list[Path], Tensor]:
    labels = [n for n, name in enumerate(classes) for _ in files[name]]
    return [path for name in classes for path in files[name]], torch.tensor(labels)


def _statistics(paths: list[Path], channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    step = -(-len(paths) // _STATISTICS_IMAGES)
    batches = in_batches(np.arange(0, len(paths), step), 64)
    decoding = Decoding("grey" if channels == 1 else "rgb")
    return channel_statistics(np.stack([image for some in decoded(paths, decoding, batches) for image in some]))


def _fingerprint(folder: Path, listed: dict[str, tuple[list[Path], Tensor]], shape: tuple[int, int, int]) -> str:
    """By the names, the sizes and the beginnings of all files: reading them whole would take as long as an epoch."""
    digest = hashlib.sha256(f"folder {shape}".encode())
    for split in ("train", "val", "test"):
        for path in listed[split][0]:
            digest.update(f"\n{split} {path.relative_to(folder).as_posix()} {path.stat().st_size} ".encode())
            with path.open("rb") as f:
                digest.update(f.read(_BEGINNING))
    return digest.hexdigest()
