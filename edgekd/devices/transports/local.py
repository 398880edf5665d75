"""This machine. `local:` runs the agent with edgekd's own Python, `local:/path/to/python` with another one."""

import functools
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.devices import pythons
from edgekd.devices.transports import _posix, _probing
from edgekd.errors import DeviceError
from edgekd.progress import runs
from edgekd.visible import visible, visible_name
from edgekd.worker import Worker

_ASKING_S = 120.0
_NO_PYTHON = "Give the path of a Python interpreter, as in local:/usr/bin/python3."


@dataclass(frozen=True)
class Local:
    """This machine; see `_base.Connection`."""

    url: str
    interpreter: str
    title: str = "this machine"
    cache: None = None

    def python(self, runtimes: Sequence[str]) -> Sequence[str]:
        """The Python given in the URL. Raises DeviceError if it is none, or too old."""
        if self.interpreter == sys.executable:
            return [self.interpreter]
        return pythons.choose(self.url, [_asked(self.interpreter, self.url)], runtimes, self.interpreter)

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command."""
        try:
            return Worker(command)
        except OSError as e:
            raise DeviceError(f"{self.title}: can't start {command[0]}: {e.strerror}", _NO_PYTHON) from e

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


@functools.cache
def _asked(interpreter: str, url: str) -> pythons.Python:
    """The Python at a path. Raises DeviceError if it is none."""
    command = [interpreter, "-c", _posix.ASK_PYTHON]
    runs(command)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_ASKING_S)
    except OSError as e:
        raise DeviceError(f"{url}: can't start {interpreter}: {e.strerror}", _NO_PYTHON) from e
    except subprocess.TimeoutExpired as e:
        raise DeviceError(f"{url}: {interpreter} does not report its version", _NO_PYTHON) from e
    try:
        return _probing.python(f"{ended.stdout} {interpreter}")
    except ValueError as e:
        said = visible_name(ended.stderr.strip()[-200:]) or f"it ends with exit code {ended.returncode}"
        raise DeviceError(f"{url}: {visible_name(interpreter)} is no Python: {said}", _NO_PYTHON) from e
