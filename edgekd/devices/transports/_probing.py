"""What a device is found to have when it is connected to, by a shell script there (`_posix.probe`)."""

from collections.abc import Callable
from dataclasses import dataclass

from edgekd.devices.pythons import Python
from edgekd.devices.transports import _posix
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError

_BEGIN_S = 120.0  # over a jump host, each with several addresses
_END_S = 5.0  # from the end of its output to its last words
_LINE_S = 60.0  # a Python that starts from an SD card


@dataclass(frozen=True)
class Device:
    """What a device has."""

    cache: str
    unwritable: str
    """Why the cache folder can't be written; empty if it can."""
    boot: str
    """Another one after each start of the system; empty where the system has none."""
    arch: str
    """As `uname -m` says."""
    has: frozenset[str]
    """The keys of what was pushed."""
    pythons: tuple[Python, ...]


def probed(session: Session, url: str, failed: Callable[[str], DeviceError]) -> Device:
    """What a session reports that runs the script.

    Args:
        session: of the script.
        url: of the device, for messages.
        failed: from what the local program wrote to stderr to the error.

    Raises:
        DeviceError: it can't be reached, or is no POSIX system.
    """
    first = session.line(_BEGIN_S)
    if first is None:
        session.wait(_END_S)
        raise failed(session.words)
    if first != _posix.BEGIN:
        message = f"{url}: its login shell prints {first[:80]!r} before a command's output"
        raise DeviceError(message, "Let its start-up files, such as ~/.bashrc, print nothing unless [ -t 1 ].")
    found: dict[str, list[str]] = {}
    while (line := session.line(_LINE_S)) != _posix.END:
        if line is None:
            session.wait(_END_S)
            raise failed(session.words)
        what, _, value = line.partition(" ")
        found.setdefault(what, []).append(value)
    one = {what: values[0] for what, values in found.items()}
    pythons = tuple(_python(line) for line in found.get("python", ()))
    has = frozenset(found.get("has", ()))
    return Device(one["cache"], one["unwritable"], one["boot"], one["arch"], has, pythons)


def _python(line: str) -> Python:
    version, runtimes, path = line.split(" ", 2)
    major, minor = version.split(".")
    return Python(path, (int(major), int(minor)), tuple(filter(None, runtimes.split(","))))
