"""CIFAR-10: 10 classes of colour images of 32x32."""

from pathlib import Path

import torchvision

from edgekd.data.dataset import Dataset
from edgekd.data.sources._cifar import load_cifar
from edgekd.values import Data

WHERE = ""


def load(*, root: Path | None, download: bool, seed: int, where: str, stated: Data) -> Dataset:
    """CIFAR-10 through torchvision."""
    return load_cifar("cifar10", torchvision.datasets.CIFAR10, root=root, download=download, seed=seed, stated=stated)
