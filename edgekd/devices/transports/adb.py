"""An Android device over adb: `adb://SERIAL`, as `adb devices` lists it, for example `adb://192.168.1.5:5555`.

By the system's `adb`: its server, its keys, its USB and network connections. Nothing is installed on the device, and
no right is needed that `adb shell` doesn't have: what it is sent is in /data/local/tmp/edgekd.
"""

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgekd import catalog, files
from edgekd.devices.bundle import fallback
from edgekd.devices.transports import _posix
from edgekd.devices.transports._adb_failures import because, failed
from edgekd.devices.transports._probing import Device, probed
from edgekd.devices.transports._sending import NotSentError, doing, send, size_of
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError, EdgekdError
from edgekd.progress import runs
from edgekd.runtimes._base import RUNTIMES
from edgekd.visible import visible_name
from edgekd.worker import Worker

_CACHE = "cache=${TMPDIR:-/data/local/tmp}"  # TMPDIR is that folder where adbd sets it
_STATE_S = 10.0
_LARGEST_FETCHED = 4 << 30
_PIECE = 1 << 20
_FIRST_BYTE_S = 600.0


class Adb:
    """A device over adb; see `_base.Connection`.

    Args:
        serial: as `adb devices` lists it.
    """

    def __init__(self, serial: str) -> None:
        self._serial = serial
        self._device: Device | None = None
        self._boot = ""
        self._has: set[str] = set()
        self._lock = threading.RLock()
        self._pushing = threading.Lock()

    @property
    def url(self) -> str:
        """As the user writes it."""
        return f"adb://{self._serial}"

    @property
    def title(self) -> str:
        """The URL."""
        return self.url

    @property
    def cache(self) -> str:
        """The folder there. Raises DeviceError."""
        return self._opened().cache

    def python(self, runtimes: Sequence[str]) -> Sequence[str]:
        """The device's own Python if that has one of the runtimes, as few have; else the bundle's."""
        device = self._opened()
        return fallback.python(self.url, device.pythons, runtimes, arch=device.arch, push=self.push, installable=False)

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command."""
        self._opened()
        return Worker(self._command(_posix.run(command)), lost=self._lost)

    def push(self, folder: Path, hashes: Mapping[str, str], key: str) -> str:
        """Send files, unless the device has them."""
        device = self._opened()
        if device.unwritable:
            raise failed(self._serial, f"can't write to {device.cache}", device.unwritable)
        with self._pushing:
            if key not in self._has:
                size = size_of(folder, hashes)
                with self._session(_posix.receive(device.cache, key, size)) as session:
                    try:
                        send(session, folder, hashes, key, self.url)
                    except NotSentError as e:
                        what = f"{doing(folder, hashes, size)}{e}"
                        raise self._broken(session, what) from e
                self._has.add(key)
        return f"{device.cache}/files/{key}"

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file, of 4 GB at most."""
        self._opened()
        files.write_pieces(to, self._content(path))

    def close(self) -> None:
        """Nothing stays open: each process has an adb of its own."""

    def _command(self, script: str) -> list[str]:
        return ["adb", "-s", self._serial, "shell", "-T", _posix.command(script)]

    def _session(self, script: str) -> Session:
        try:
            return Session(self._command(script))
        except OSError as e:
            hint = "Install it, for example: apt install adb"
            raise DeviceError(f"{self.url}: can't start adb: {e.strerror}", hint) from e

    def _opened(self) -> Device:
        """What the device has, from when it was first connected to, or connected to again."""
        with self._lock:
            if self._device is None:
                script = _posix.probe(_CACHE, None, catalog.names(RUNTIMES))
                with self._session(script) as session:
                    device = probed(session, self.url, lambda words: failed(self._serial, "can't connect", words))
                if self._boot not in ("", device.boot):
                    message = f"{self.url}: it was restarted while it was in use"
                    raise DeviceError(message, "Run the same command again.")
                self._device, self._boot, self._has = device, device.boot, {*device.has}
            return self._device

    def _lost(self, code: int, words: str) -> tuple[str, str] | None:
        """What to say of a process whose connection broke, and the remedy; None where it ended by itself."""
        state = self._state()
        # adb ends with 0 where the connection ends before the process, and the agent never does
        if state == "device" and code and not because(words):
            return None
        self._device = None
        lost = failed(self._serial, "the connection was lost", words if because(words) else state)
        return lost.message, lost.hint

    def _state(self) -> str:
        """What adb says of the device: "device" where it can be used."""
        command = ["adb", "-s", self._serial, "get-state"]
        runs(command)
        try:
            asked = subprocess.run(command, capture_output=True, timeout=_STATE_S, text=True, errors="replace")
        except (OSError, subprocess.TimeoutExpired) as e:
            return f"error: {e}"
        return (asked.stdout or asked.stderr).strip()

    def _broken(self, session: Session, what: str) -> DeviceError:
        """The error for a session that ended too early."""
        lost = self._lost(session.wait(1), session.words)
        return DeviceError(f"{what}: {lost[0]}", lost[1]) if lost else failed(self._serial, what, session.words)

    def _content(self, path: str) -> Iterator[bytes]:
        with self._session(_posix.read(path)) as session:
            size = (session.line(_FIRST_BYTE_S) or "").strip()
            left = int(size) if re.fullmatch(r"[0-9]{1,15}", size) else -1
            if left > _LARGEST_FETCHED:
                raise DeviceError(f"{self.url}: {visible_name(path)} is larger than 4 GB", "Copy it by hand.")
            while left > 0 and (piece := session.stdout.read(min(left, _PIECE))):
                left -= len(piece)
                yield piece
            if left:
                raise self._broken(session, f"can't copy {visible_name(path)} from the device")


def connect(where: str) -> Adb:
    """The device with that serial number. Raises EdgekdError if that can't be one."""
    if not re.fullmatch(r"[A-Za-z0-9_.:\[\]%][A-Za-z0-9_.:\[\]%-]*", where):
        message = f"device adb://{visible_name(where)}: {visible_name(where)!r} is no serial number"
        raise EdgekdError(message, "Give one that `adb devices` lists, for example adb://emulator-5554.")
    return Adb(where)
