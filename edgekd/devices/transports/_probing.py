"""What a device is found to have when it is connected to, by a shell script there (`_posix.probe`)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgekd.devices.pythons import Python
from edgekd.devices.transports import _posix
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError, MeasurementError
from edgekd.visible import visible_name

_BEGIN_S = 120.0  # over a jump host, each with several addresses
_END_S = 5.0  # from the end of its output to its last words
_LINE_S = 60.0  # a Python that starts from an SD card
_MOST = 1 << 23  # characters that it says
_MOST_PRINTED = 1000  # lines
_OF_LINE = 200  # for which a line counts at least: each takes time; there is one of each push


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
        MeasurementError: what it reports can't be true.
    """
    first = session.line(_BEGIN_S)
    if first is None:
        session.wait(_END_S)
        raise failed(session.words)
    if first != _posix.BEGIN:
        raise _printing(session, url, first)
    found, left = dict[str, list[str]](), _MOST
    while (line := session.line(_LINE_S)) != _posix.END:
        if line is None:
            session.wait(_END_S)
            raise failed(session.words)
        left -= max(len(line), _OF_LINE)
        if left < 0:
            raise _wrong(url, "it does not end")
        what, _, value = line.partition(" ")
        found.setdefault(what, []).append(value)
    try:
        return _device(found)
    except (KeyError, ValueError) as e:
        raise _wrong(url, f"{type(e).__name__} {e}") from e


def _printing(session: Session, url: str, first: str) -> DeviceError:
    """The error for a login shell whose first line is not the script's: it prints, or runs no script at all."""
    lines = (session.line(_END_S) for _ in range(_MOST_PRINTED))
    if next((line for line in lines if line in (None, _posix.BEGIN)), "") is None and session.wait(_END_S) > 0:
        hint = "Give a user with a login shell: ssh://USER@HOST"
        return DeviceError(f"{url}: this account can't log in: {visible_name(first[:200])}", hint)
    message = f"{url}: its login shell prints {first[:80]!r} before a command's output"
    return DeviceError(message, "Let its start-up files, such as ~/.bashrc, print nothing unless [ -t 1 ].")


def _wrong(url: str, what: str) -> MeasurementError:
    hint = "Retry. If it happens again, its shell is broken, or it isn't what it claims to be."
    return MeasurementError(f"{url}: wrong answer of its shell: {visible_name(what)}", hint)


def _device(found: Mapping[str, Sequence[str]]) -> Device:
    """Raises KeyError and ValueError if something is missing or wrong."""
    one = {what: values[0] for what, values in found.items()}
    pythons = tuple(python(line) for line in found.get("python", ()))
    has = frozenset(found.get("has", ()))
    return Device(one["cache"], one["unwritable"], one["boot"], one["arch"], has, pythons)


def python(line: str) -> Python:
    """The Python for what `_posix.ASK_PYTHON` prints and its path. Raises ValueError."""
    version, runtimes, path = line.split(" ", 2)
    major, minor = version.split(".")
    return Python(path, (int(major), int(minor)), tuple(filter(None, runtimes.split(","))))
