"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009): 50,000 + 10,000
colour images of 32x32, read by torchvision. The validation split is a tenth of the training images.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd.data import locations
from edgekd.data.adapted import adapted
from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import Split, dataset_in_memory, part
from edgekd.data.splits import stratified
from edgekd.errors import EdgekdError, StorageError
from edgekd.values import Data


def load_cifar(name: str, reader: Any, *, root: Path | None, download: bool, seed: int, stated: Data) -> Dataset:
    """The data set that torchvision's class `reader` reads, found below `root`, $EDGEKD_DATA or the cache."""
    base = _base(name, reader, root, download)
    try:
        known = reader(base, train=True, download=download)
        test = reader(base, train=False)
    except (OSError, RuntimeError) as e:
        hint = "Remove the folder, then download the data set again, for example with --download."
        # torchvision compares every file's MD5 before it unpickles it
        raise StorageError(f"{base / reader.base_folder}: {name} is damaged or can't be fetched: {e}", hint) from e
    images = _images(known)
    train, val = (part(images, indices) for indices in stratified(images[1], (0.1,), seed))
    splits = {"train": train, "val": val, "test": _images(test)}
    return adapted(dataset_in_memory(name, tuple(known.classes), splits, Augmentation(pad=4, flip=True)), stated)


def _base(name: str, reader: Any, root: Path | None, download: bool) -> Path:
    bases = locations.bases(root)
    for base in bases:
        if (base / reader.base_folder).is_dir():
            return base
    if download:
        return locations.download_base(root)
    hint = (
        f"Give the folder that holds {reader.base_folder} with --data-root or $EDGEKD_DATA, or let it be downloaded "
        f"with --download. Searched: {', '.join(map(str, bases))}"
    )
    raise EdgekdError(f"{name} isn't on this machine", hint)


def _images(read: Any) -> Split:
    """The images (N, H, W, C) that torchvision read, as (N, C, H, W), and their labels."""
    return np.ascontiguousarray(read.data.transpose(0, 3, 1, 2)), torch.tensor(read.targets)
