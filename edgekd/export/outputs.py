"""Runs an exported file over images on this machine, through its runtime: for parity and accuracy, not for time."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import catalog
from edgekd.data.dataset import Augmentation, Dataset, Images, View
from edgekd.errors import UnsupportedModelError
from edgekd.schema import Accuracy

Array = np.ndarray[Any, np.dtype[np.float32]]


class Runner:
    """An artifact that takes one image a batch, opened once for each core.

    Raises:
        UnsupportedModelError: the runtime can't open the file.
    """

    def __init__(self, path: Path, runtime: str) -> None:
        self._what = f"{path.name}: {runtime} can't run it"
        module = catalog.load("runtimes", runtime)
        try:
            self._sessions = [module.open(str(path), threads=1, spinning=False) for _ in range(os.cpu_count() or 1)]
        except ValueError as e:
            raise UnsupportedModelError(f"{self._what}: {e}") from e
        self._input = self._sessions[0].inputs()[0]["name"]

    def __call__(self, images: Array) -> Array:
        """Logits (N, classes) for images (N, C, H, W) float32."""
        parts = np.array_split(images, len(self._sessions))
        with ThreadPoolExecutor(len(self._sessions)) as pool:
            return np.concatenate([out for part in pool.map(self._run, self._sessions, parts) for out in part])

    def _run(self, session: Any, images: Array) -> list[Array]:
        try:
            return [session.run({self._input: image[None]})[0] for image in images]
        except ValueError as e:
            raise UnsupportedModelError(f"{self._what}: {e}") from e


def accuracy(runner: Runner, data: Dataset, split: str) -> Accuracy:
    """Top-1 accuracy over the "val" or "test" split, through the runtime."""
    images: Images = getattr(data, split)
    correct = sum(int((runner(x.numpy()).argmax(1) == y.numpy()).sum()) for x, y in images.batches(256))
    return Accuracy(correct=correct, images=len(images), dataset=data.name, split=split)


def some(images: Images, count: int) -> Array:
    """Up to `count` images (N, C, H, W) of all classes, always the same ones, not augmented."""
    view = View(Augmentation(pad=0, flip=False), seed=0, epoch=0)  # shuffled: folders are sorted by class
    kept: list[Array] = []
    for x, _ in images.batches(min(64, count), view):
        kept.append(x.numpy())
        if len(kept) * 64 >= count:
            break
    return np.concatenate(kept)[:count]
