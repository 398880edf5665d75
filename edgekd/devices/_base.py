"""What a device is to the rest of edgekd, however it is reached."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from edgekd.devices.client import Agent
from edgekd.values import Artifact, DeviceFacts, Target

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Engine:
    """What a device runs of an artifact: what it built from it, or the artifact itself."""

    path: str
    """On the device."""
    bytes: int | None = None
    """None where nothing was built."""
    build_seconds: float | None = None
    """None where nothing was built, or where it was built before."""


class Device(Protocol):
    """One real unit. Nothing is opened before it is needed; use it as a context manager."""

    @property
    def url(self) -> str:
        """The device as the user writes it."""

    @property
    def title(self) -> str:
        """What messages call it, such as "this machine"."""

    @property
    def facts(self) -> DeviceFacts:
        """What it is and which runtimes it has, asked once. Raises DeviceError if it can't be reached."""

    def key(self) -> Any:
        """What decides the result of a stage that runs something on it: its facts."""

    def is_of(self, target: Target) -> bool:
        """Whether it is one of the target's kind. Raises DeviceError."""

    def push(self, paths: Sequence[Path]) -> str:
        """Make files readable on the device, beside each other; the path of the first there.

        What it has by its content is not sent again. Raises DeviceError.
        """

    def build(self, artifact: Artifact) -> Engine:
        """What the device runs of an artifact, built by its runtime where the runtime builds something.

        Raises:
            UnsupportedModelError: it can't be built.
            DeviceError: the device can't be reached, or doesn't have the runtime.
        """

    def evaluate(self, artifact: Artifact, batches: Iterable[Array]) -> Iterator[Array]:
        """The first output (N, …) of each batch of N inputs, for an artifact that takes one at a time.

        Raises:
            UnsupportedModelError: its runtime can't open or run it.
            DeviceError, MeasurementError: the device can't be reached, or fails.
        """

    def start(self, runtime: str) -> Agent:
        """A fresh agent with that runtime, ready for requests. Raises DeviceError."""

    def close(self) -> None:
        """End all that was opened."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...
