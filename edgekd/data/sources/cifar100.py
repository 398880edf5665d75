"""CIFAR-100: 100 classes of colour images of 32x32."""

from pathlib import Path

import torchvision

from edgekd.data.dataset import Dataset
from edgekd.data.sources._cifar import load_cifar
from edgekd.values import Data

WHERE = ""


def load(*, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
    """CIFAR-100 through torchvision."""
    return load_cifar("cifar100", torchvision.datasets.CIFAR100, root=root, download=download, seed=seed, stated=stated)
