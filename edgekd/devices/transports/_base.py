"""What a transport provides: how a device is reached, whatever runs there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from edgekd.catalog import Kind
from edgekd.worker import Worker


class Connection(Protocol):
    """One device as a transport reaches it. Nothing is opened before it is used."""

    @property
    def url(self) -> str:
        """The device as the user writes it."""

    @property
    def title(self) -> str:
        """What messages call the device, such as "this machine"."""

    @property
    def cache(self) -> str | None:
        """The folder on the device for what is kept there, such as engines; None: the user's cache folder there."""

    def python(self) -> Sequence[str]:
        """The command of the Python that runs the agent on the device. Raises DeviceError if there is none."""

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command on the device, with its standard streams as pipes. Raises DeviceError."""

    def push(self, folder: Path, names: Sequence[str], key: str) -> str:
        """Make files readable on the device, beside each other and under their own names.

        Args:
            folder: where they are here.
            names: of the files, relative to `folder`.
            key: a hash of their names and contents: what the device has under it need not be sent again.

        Returns:
            The folder on the device.

        Raises:
            DeviceError: it can't be reached, or has no room for them.
        """

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file of the device here. Raises DeviceError, and StorageError where it can't be written."""

    def close(self) -> None:
        """End what was opened. Processes that were started end by themselves, with their streams."""


class Transport(Protocol):
    """The members of a transport module."""

    def connect(self, where: str) -> Connection:
        """The device at `where`: what follows `transport:` or `transport://`.

        Raises:
            EdgekdError: there can be no such device.
        """


TRANSPORTS = Kind[Transport]("devices.transports", "transport")
