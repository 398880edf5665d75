"""A device over ssh: `ssh://[user@]host[:port][/path/to/python]`.

By the system's `ssh`, so that the user's configuration, keys, agent, jump hosts and known hosts hold. Host keys are
always checked. One connection carries all sessions; it ends with this process.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from edgekd import catalog, files
from edgekd.devices.bundle import fallback
from edgekd.devices.transports import _posix
from edgekd.devices.transports._address import Address, parse
from edgekd.devices.transports._failures import not_done
from edgekd.devices.transports._master import Master, open_master
from edgekd.devices.transports._probing import Device
from edgekd.devices.transports._sending import NotSentError, doing, send, size_of
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError
from edgekd.runtimes._base import RUNTIMES
from edgekd.visible import visible_name
from edgekd.worker import Worker

_LARGEST_FETCHED = 4 << 30
_PIECE = 1 << 20
_LOST_S = 1.0  # between a client's end and its master's
_AGAIN = "Check its power and its network, then try again."


class Ssh:
    """A device over ssh; see `_base.Connection`.

    Args:
        address: where it is.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._masters: list[Master] = []
        self._device: Device | None = None
        self._has: set[str] = set()
        self._lock = threading.RLock()
        self._pushing = threading.Lock()

    @property
    def url(self) -> str:
        """As the user writes it."""
        return self._address.url

    @property
    def title(self) -> str:
        """The URL."""
        return self._address.url

    @property
    def cache(self) -> str:
        """The user's cache folder there. Raises DeviceError."""
        return self._opened().cache

    def python(self, runtimes: Sequence[str]) -> Sequence[str]:
        """The Python that the URL names, or the best of those on the device's PATH, or the bundle's."""
        device, named = self._opened(), self._address.python
        return fallback.python(self.url, device.pythons, runtimes, arch=device.arch, push=self.push, named=named)

    def start(self, command: Sequence[str]) -> Worker:
        """Start a command."""
        with self._lock:
            master = self._free_master()
            line = master.command(_posix.run(command))
            worker = Worker(line, lost=partial(self._lost, master))
            master.carry(worker.runs)
        return worker

    def push(self, folder: Path, hashes: Mapping[str, str], key: str) -> str:
        """Send files, unless the device has them."""
        device = self._opened()
        if device.unwritable:
            raise not_done(self._address, f"can't write to {visible_name(device.cache)}", device.unwritable)
        with self._pushing:
            if key not in self._has:
                size = size_of(folder, hashes)
                with self._session(_posix.receive(device.cache, key, size)) as (session, master):
                    try:
                        send(session, folder, hashes, key, self.url)
                    except NotSentError as e:
                        what = f"{doing(folder, hashes, size)}{e}"
                        raise self._not_done(session, master, what) from e
                self._has.add(key)
        return f"{device.cache}/files/{key}"

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file, of 4 GB at most."""
        files.write_pieces(to, self._content(path))

    def close(self) -> None:
        """End the connection."""
        with self._lock:
            for master in self._masters:
                master.close()
            self._masters.clear()
            self._device = None

    def _opened(self) -> Device:
        """What the device has, from when it was first connected to."""
        with self._lock:
            if self._device is None:
                self._free_master()
            assert self._device is not None
            return self._device

    def _free_master(self) -> Master:
        """A connection that can carry one more session. Raises DeviceError."""
        for master in self._masters:
            if master.free():
                return master
        for dead in [master for master in self._masters if not master.alive()]:
            dead.close()
            self._masters.remove(dead)
        master = open_master(self._address, catalog.names(RUNTIMES))
        self._masters.append(master)
        before, self._device = self._device, master.device
        self._has = {*master.device.has}
        if before and before.boot != master.device.boot:
            message = f"{self.url}: it was restarted while it was in use"
            raise DeviceError(message, "Run the same command again; look why it restarted, such as its power supply.")
        return master

    def _lost(self, master: Master, code: int, words: str) -> tuple[str, str] | None:
        """What to say of a session that ended with that code, and the remedy; None where its program ended so."""
        if f"can't open file '{master.device.cache}" in words:
            self._has.clear()
            return "what was sent to it was removed there meanwhile", "Run the same command again."
        if code != 255:
            return None
        end = time.monotonic() + _LOST_S
        while master.alive() and time.monotonic() < end:
            time.sleep(0.05)
        if not master.alive():
            return f"the connection to {self.url} was lost{_because(master.session.words)}", _AGAIN
        error = not_done(self._address, "can't start a program", words)
        return error.message, error.hint

    def _content(self, path: str) -> Iterator[bytes]:
        left = _LARGEST_FETCHED
        with self._session(_posix.run(["cat", "--", path])) as (session, master):
            while piece := session.stdout.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    raise DeviceError(f"{self.url}: {visible_name(path)} is larger than 4 GB", "Copy it by hand.")
                yield piece
            if session.wait(_LOST_S):
                raise self._not_done(session, master, f"can't copy {visible_name(path)} from the device")

    @contextmanager
    def _session(self, script: str) -> Iterator[tuple[Session, Master]]:
        with self._lock:
            master = self._free_master()
            session = Session(master.command(script))
            master.carry(session.runs)
        with session:
            yield session, master

    def _not_done(self, session: Session, master: Master, doing: str) -> DeviceError:
        lost = self._lost(master, session.wait(_LOST_S), session.words)
        return DeviceError(f"{doing}: {lost[0]}", lost[1]) if lost else not_done(self._address, doing, session.words)


def _because(words: str) -> str:
    return f": {visible_name(words.splitlines()[-1])}" if words else ""


def connect(where: str) -> Ssh:
    """The device at `[user@]host[:port][/path/to/python]`. Raises EdgekdError if that is no address."""
    return Ssh(parse(where))
