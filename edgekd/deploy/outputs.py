"""Runs an exported file over images on this machine, through its runtime: for parity and accuracy, not for time."""

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import catalog
from edgekd.data.dataset import Dataset, Images
from edgekd.deploy.feeding import Array, Pixels, fed
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Accuracy, Artifact, Feeding
from edgekd.values.defaults import images_at_once
from edgekd.variants import complete
from edgekd.zoo.forward import reason

_ONE_CORE = {"threads": 1, "spinning": False}
"""Settings of a runtime that has them, where every core has a session of its own."""


def runner_of(artifact: Artifact, feeding: Feeding) -> "Runner":
    """An artifact as its variant runs it. Raises as `Runner`."""
    return Runner(artifact.path, artifact.runtime, feeding, settings=complete(artifact.variant))


class Runner:
    """A model that takes one image a batch, opened once for each core.

    Args:
        path: its file.
        runtime: what runs it.
        feeding: what it takes; None: normalised images.
        settings: of the runtime, but for those that share the cores out.

    Raises:
        UnsupportedModelError: the runtime can't open the file.
    """

    def __init__(
        self, path: Path, runtime: str, feeding: Feeding | None = None, *, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._feeding = feeding
        self._what = f"{path.name}: {runtime} can't run it"
        module = catalog.load(RUNTIMES, runtime)
        shared = {name: value for name, value in _ONE_CORE.items() if name in module.SETTINGS}
        used = {**(settings or {}), **shared}
        try:
            self._sessions = [module.open(str(path), **used) for _ in range(os.cpu_count() or 1)]
        except ValueError as e:
            raise UnsupportedModelError(f"{self._what}: {e}") from e
        self._input = self._sessions[0].inputs()[0]["name"]

    def __call__(self, images: Array) -> Array:
        """Logits (N, classes) for images (N, C, H, W) float32."""
        parts = np.array_split(fed(images, self._feeding) if self._feeding else images, len(self._sessions))
        with ThreadPoolExecutor(len(self._sessions)) as pool:
            return np.concatenate([out for part in pool.map(self._run, self._sessions, parts) for out in part])

    def _run(self, session: Any, images: Array | Pixels) -> list[Array]:
        try:
            return [session.run({self._input: image[None]})[0] for image in images]
        except Exception as e:  # runtimes' exceptions have no base class of their own
            raise UnsupportedModelError(f"{self._what}: {reason(e)}") from e


def accuracy(runner: Runner, data: Dataset, split: str) -> Accuracy:
    """Top-1 accuracy over the "val" or "test" split, through the runtime."""
    images: Images = getattr(data, split)
    size = images_at_once(images.shape, 256)
    correct = sum(int((runner(x.numpy()).argmax(1) == y.numpy()).sum()) for x, y in images.batches(size))
    return Accuracy(correct=correct, images=len(images), dataset=data.name, split=split)
