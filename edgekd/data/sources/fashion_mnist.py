"""Fashion-MNIST (Xiao, Rasul, Vollgraf, arXiv 1708.07747, 2017): 60,000 + 10,000 grey images of 28x28.

The validation split is a tenth of the training images.
"""

from pathlib import Path

import torch
import torchvision

from edgekd.data import locations
from edgekd.data.adapted import adapted
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import Split, dataset_in_memory, part
from edgekd.data.sources._idx import read_idx
from edgekd.data.splits import stratified
from edgekd.errors import EdgekdError, StorageError
from edgekd.values import Data

WHERE = ""
_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_FILES = tuple(f"{split}-{what}-ubyte" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
# the folder of the Debian package dataset-fashion-mnist
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_TORCHVISION = Path("FashionMNIST") / "raw"


def load(*, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
    """Fashion-MNIST from the first folder that contains it: below `root`, $EDGEKD_DATA or the cache, or Debian's."""
    files = _find(root)
    if files is None and download:
        _download(locations.download_base(root))
        files = _find(root)
    if files is None:
        searched = ", ".join(map(str, _folders(root)))
        hint = (
            "Give its folder with --data-root or $EDGEKD_DATA, install the Debian package dataset-fashion-mnist, "
            f"or let it be downloaded with --download. Searched: {searched}"
        )
        raise EdgekdError("fashion-mnist isn't on this machine", hint)
    known, test = _images(files[0], files[1]), _images(files[2], files[3])
    train, val = (part(known, indices) for indices in stratified(known[1], (0.1,), seed))
    splits = {"train": train, "val": val, "test": test}
    return adapted(dataset_in_memory("fashion-mnist", _CLASSES, splits, Augmentation(pad=2, flip=True)), stated)


def _folders(root: Path | None) -> list[Path]:
    below = [base / inner for base in locations.bases(root) for inner in ("", "fashion-mnist", _TORCHVISION)]
    return [*below, _DEBIAN]


def _find(root: Path | None) -> list[Path] | None:
    """The four files in the order of _FILES, plain or compressed."""
    for folder in _folders(root):
        options = [(folder / name, folder / f"{name}.gz") for name in _FILES]
        files = [next((f for f in pair if f.is_file()), None) for pair in options]
        there = [f for f in files if f is not None]
        if len(there) == len(_FILES):
            return there
        if there:
            missing = [name for name, file in zip(_FILES, files, strict=True) if file is None]
            raise StorageError(f"{folder}: fashion-mnist lacks {', '.join(missing)}", "Add it, or remove the others.")
    return None


def _download(base: Path) -> None:
    try:
        torchvision.datasets.FashionMNIST(base, train=True, download=True)
    except (OSError, RuntimeError) as e:
        hint = "Try again, or install the Debian package dataset-fashion-mnist."
        raise StorageError(f"fashion-mnist can't be downloaded to {base}: {e}", hint) from e


def _images(images: Path, labels: Path) -> Split:
    pixels, classes = read_idx(images), read_idx(labels)
    if pixels.ndim != 3 or classes.ndim != 1 or len(pixels) != len(classes) or classes.max() >= len(_CLASSES):
        what = f"{images}: {pixels.shape} images don't match the {classes.shape} labels of {labels.name}"
        raise StorageError(what, "Copy the four files of Fashion-MNIST again.")
    return pixels[:, None], torch.from_numpy(classes).long()
