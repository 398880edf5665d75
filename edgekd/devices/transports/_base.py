"""The interface of a transport: how edgekd connects to a device."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from edgekd.catalog import Kind
from edgekd.worker import Worker


class Connection(Protocol):
    """A connection to one device. Opened lazily."""

    @property
    def url(self) -> str:
        """The device as the user writes it."""

    @property
    def title(self) -> str:
        """The device's name in messages, such as "this machine"."""

    @property
    def cache(self) -> str | None:
        """The cache folder on the device, for example for engines; None: the user's cache folder there."""

    def python(self, runtimes: Sequence[str]) -> Sequence[str]:
        """The command of the Python that runs the agent on the device: one that has as many of the runtimes as any.

        Raises:
            DeviceError: there is none, or every one is too old.
        """

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command on the device, with its standard streams as pipes. Raises DeviceError."""

    def push(self, folder: Path, hashes: Mapping[str, str], key: str) -> str:
        """Make files available in one folder on the device, under their own names.

        Args:
            folder: the local folder of the files.
            hashes: the SHA-256 of each file, by its name relative to `folder`.
            key: a hash of them all; files that the device already has under it are not sent again.

        Returns:
            The folder on the device.

        Raises:
            DeviceError: the device can't be reached, or its storage is full.
        """

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file from the device. Raises DeviceError, and StorageError if it can't be written."""

    def close(self) -> None:
        """Close the connection. Processes that were started end when their streams close."""


class Transport(Protocol):
    """The members of a transport module."""

    def connect(self, where: str) -> Connection:
        """The device at `where`, the part of the URL after `transport:` or `transport://`.

        Raises:
            EdgekdError: `where` is invalid.
        """


TRANSPORTS = Kind[Transport]("devices.transports", "transport")
