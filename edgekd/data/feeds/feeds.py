"""Some images as a file takes them, read when they are wanted."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Indices = NDArray[np.int64]

_AT_ONCE_BYTES = 1 << 26


@dataclass(frozen=True, eq=False)
class Feeds:
    """Images (N, …), each as a file takes it but for the batch axis."""

    content: str
    """sha256 of all that decides them but for which of them they are."""
    read: Callable[[Indices], Array]
    """Gives those at some positions."""
    indices: Indices
    """Their positions."""
    labels: Indices | None = None
    """(N,) The class of each; None: not known."""

    def key(self) -> list[Any]:
        """What decides the result of a stage that they are fed to."""
        where = hashlib.sha256(np.ascontiguousarray(self.indices, "<i8").tobytes()).hexdigest()
        labels = None if self.labels is None else self.labels.tolist()
        return [self.content, where, len(self.indices), labels]

    def __len__(self) -> int:
        return len(self.indices)

    def __call__(self) -> Array:
        """All of them."""
        return self.read(self.indices)

    def first(self, count: int) -> "Feeds":
        """The first ones."""
        labels = None if self.labels is None else self.labels[:count]
        return Feeds(self.content, self.read, self.indices[:count], labels)

    def batches(self) -> Iterator[Array]:
        """All of them, in parts that take little memory."""
        size = max(1, _AT_ONCE_BYTES // max(1, self.read(self.indices[:1]).nbytes))
        for start in range(0, len(self), size):
            yield self.read(self.indices[start : start + size])


@dataclass(frozen=True, eq=False)
class FeedSplits:
    """Images to calibrate on, and others to compare outputs on."""

    calibration: Feeds
    held_out: Feeds
    """Where there is one image alone, it is that one."""
    name: str
    """What reports call them."""
    classes: tuple[str, ...] | None = None
    """The names of the labels; None: the labels, if any, are those of the file's own outputs."""
    notes: tuple[str, ...] = ()


def halves(count: int) -> tuple[Indices, Indices]:
    """Positions to calibrate on and to compare on, always the same ones; both are the only one where there is one."""
    order = np.random.default_rng(0).permutation(count)
    return (order, order) if count == 1 else (order[: count // 2], order[count // 2 :])
