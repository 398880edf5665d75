"""Runs an artifact over images on a device, through its runtime: for parity and accuracy, not for time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edgekd.data.dataset import Dataset, Images
from edgekd.deploy.feeding import Array, fed
from edgekd.devices._base import Device
from edgekd.values import Accuracy, Artifact, Feeding
from edgekd.values.defaults import images_at_once

NO_CLASS = -1
"""That an image is taken for where not all outputs are finite."""

_SENT_BYTES = 1 << 26
"""Of images that go to the device at once."""


@dataclass(frozen=True)
class Runner:
    """An artifact that takes one image a batch, on a device.

    What it gives raises UnsupportedModelError where its runtime can't open or run it, and as `Device.evaluate`.
    """

    device: Device
    artifact: Artifact
    feeding: Feeding | None = None
    """What it takes; None: what it is given, as it is."""
    output: int = 0
    """The position of the output that is wanted."""

    def __call__(self, images: Array) -> Array:
        """Logits (N, classes) for images (N, C, H, W) float32."""
        size = max(1, _SENT_BYTES // images[0].nbytes)
        parts = (images[start : start + size] for start in range(0, len(images), size))
        return np.concatenate([*self.each(parts)])

    def each(self, batches: Iterable[Array]) -> Iterator[Array]:
        """Logits (N, classes) for each batch of images; the next batch is made ready while the device is at work."""
        feeding = self.feeding
        return self.device.evaluate(self.artifact, (fed(x, feeding) if feeding else x for x in batches), self.output)


def answers(runner: Runner, images: Images) -> tuple[Array, Array]:
    """The class (N,) that each image is taken for, or NO_CLASS, and its own, by the runtime; raises as `Runner`."""
    labels: list[Array] = []

    def pixels() -> Iterator[Array]:
        for x, y in images.batches(images_at_once(images.shape, 256)):
            labels.append(y.numpy())
            yield x.numpy()

    given = np.concatenate([_classes(logits) for logits in runner.each(pixels())])
    return given, np.concatenate(labels)


def _classes(logits: Array) -> Array:
    return np.where(np.isfinite(logits).all(1), logits.argmax(1), NO_CLASS)


def without_class(answered: tuple[Array, Array]) -> str:
    """For how many images not all outputs are finite, in words; empty where there are none."""
    count = int((answered[0] == NO_CLASS).sum())
    return f"gives NaN or infinity for {count:,} of {len(answered[0]):,} images" if count else ""


def counted(answered: tuple[Array, Array], data: Dataset, split: str) -> Accuracy:
    """The accuracy of `answers` to a split."""
    given, true = answered
    return Accuracy(correct=int((given == true).sum()), images=len(true), dataset=data.name, split=split)
