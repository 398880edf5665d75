"""This machine. `local:` runs the agent with edgekd's own Python, `local:/path/to/python` with another one."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.errors import DeviceError
from edgekd.visible import visible
from edgekd.worker import Worker


@dataclass(frozen=True)
class Local:
    """This machine; see `_base.Connection`."""

    url: str
    interpreter: str
    title: str = "this machine"
    cache: None = None

    def python(self, runtimes: Sequence[str]) -> Sequence[str]:
        """The Python given in the URL."""
        return [self.interpreter]

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command."""
        try:
            return Worker(command)
        except OSError as e:
            hint = "Give the path of a Python interpreter, as in local:/usr/bin/python3."
            raise DeviceError(f"{self.title}: can't start {command[0]}: {e.strerror}", hint) from e

    def push(self, folder: Path, hashes: Iterable[str], key: str) -> str:
        """The files are used in place.

        Links are not resolved: a runtime looks for a model's external data next to the link, and so do hash and size.
        """
        there = str(folder.absolute())
        for name in hashes:
            files.require_utf8("a runtime can't open it", str(Path(there, name)))
        return there

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file."""
        files.copy(Path(path), to)

    def close(self) -> None:
        """Nothing to close."""


def connect(where: str) -> Local:
    """This machine, with the Python at `where` or, if that is empty, edgekd's own."""
    return Local(url=visible(f"local:{where}"), interpreter=where or sys.executable)
