"""The device interface, independent of the transport."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from edgekd.devices.client import Agent
from edgekd.values import Artifact, DeviceFacts, MeasuringProtocol, Target

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Engine:
    """The file that a device runs for an artifact: an engine built from it, or the artifact itself."""

    path: str
    """Path on the device."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of all its files by their paths on the device."""
    bytes: int | None = None
    """Size of the engine; None if nothing was built."""
    build_seconds: float | None = None
    """None if nothing was built; a cached engine keeps the time that its build took."""
    build_how: str | None = None
    """In the runtime's words: the builder's settings, or the command."""


class Device(Protocol):
    """One physical device. Opened lazily; use it as a context manager."""

    @property
    def url(self) -> str:
        """The device as the user writes it."""

    @property
    def title(self) -> str:
        """The name used in messages, such as "this machine"."""

    @property
    def facts(self) -> DeviceFacts:
        """The host and its runtimes, queried once. Raises DeviceError if the device can't be reached."""

    def key(self) -> Any:
        """The device's part of a stage's cache key: its facts."""

    def is_of(self, target: Target) -> bool:
        """Whether the device matches the target. Raises DeviceError."""

    def install_command(self, runtime: str) -> str | None:
        """What installs a missing runtime, to be typed there; None where no such command is known."""

    def leased(self) -> AbstractContextManager[None]:
        """Use the device alone within the block: no other process of edgekd measures, builds or evaluates there.

        Blocks may be nested, and threads that use the same device share the lease.

        Raises:
            DeviceError: somebody else uses it, for longer than is waited, or it can't be reached.
            MeasurementError: raised at the end of the block if the lease was lost within: its results don't count.
        """

    def push(self, paths: Sequence[Path]) -> str:
        """Make files available in one folder on the device; returns the path of the first one there.

        Files that the device already has (by content hash) are not sent again. Raises DeviceError.
        """

    def require_readable(self, artifact: Artifact) -> None:
        """Raises UnsupportedModelError if the device's version of its runtime is known not to read an artifact, and
        DeviceError if the device can't be reached, or doesn't have the runtime. Nothing of the artifact is sent.
        """

    def build(self, artifact: Artifact, how: MeasuringProtocol | None = None, inputs: str | None = None) -> Engine:
        """Build an engine from an artifact if its runtime needs one; otherwise return the artifact itself.

        Args:
            artifact: what to build from.
            how: it is measured, which states the sizes of axes that the artifact leaves open: an engine has fixed ones.
                None: one input at a time.
            inputs: an .npz file on the device that feeds the artifact, and so states the sizes.

        Raises:
            UnsupportedModelError: the build fails, or as `require_readable`.
            DeviceError: the device can't be reached, or doesn't have the runtime.
        """

    def evaluate(self, artifact: Artifact, batches: Iterable[Array], output: int = 0) -> Iterator[Array]:
        """The output at that position (N, …) for each batch of N inputs; the artifact has batch size one.

        Raises:
            UnsupportedModelError: the runtime can't open or run the artifact.
            DeviceError, MeasurementError: the device can't be reached, or fails.
        """

    def start(self, runtime: str) -> Agent:
        """Start a new agent with that runtime, ready for requests. Raises DeviceError."""

    def close(self) -> None:
        """Close all open agents and connections."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...
