"""One connection to a device's ssh server, which carries several sessions (ControlMaster)."""

import random
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgekd.devices.transports import _posix
from edgekd.devices.transports._address import Address
from edgekd.devices.transports._failures import dropped, not_connected
from edgekd.devices.transports._probing import Device, probed
from edgekd.devices.transports._session import Session
from edgekd.errors import DeviceError

_CONNECT_S = 20
_ATTEMPTS = 6
_PAUSE_S = 0.5
_CARRIED = 9  # sessions besides its own: MaxSessions of sshd is 10 by default
_LONGEST_SOCKET = 80  # ssh adds 17 characters for a moment, and a socket's path has at most 104

# what the user has configured holds, apart from what would disturb a connection that only carries our streams
_OPTIONS = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "LogLevel=ERROR",
]


@dataclass(frozen=True)
class Master:
    """The connection. It ends when this process does, however that ends."""

    address: Address
    session: Session
    folder: Path
    device: Device
    _carried: list[Callable[[], bool]] = field(default_factory=list)

    def command(self, script: str) -> list[str]:
        """The local command that runs a script on the device, over this connection and no other."""
        # a client whose master is gone would connect by itself
        return _ssh(self.address, self.folder, ["ControlMaster=no", "ProxyCommand=false"], script)

    def carry(self, runs: Callable[[], bool]) -> None:
        """Count a session until `runs` says that it has ended."""
        self._carried.append(runs)

    def alive(self) -> bool:
        """Whether the connection stands."""
        return self.session.runs()

    def free(self) -> bool:
        """Whether it can carry another session."""
        self._carried[:] = [runs for runs in self._carried if runs()]
        return self.alive() and len(self._carried) < _CARRIED

    def close(self) -> None:
        """End the connection."""
        self.session.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def open_master(address: Address, runtimes: Sequence[str]) -> Master:
    """Connect, and find out in the same round trip what the device has.

    Raises:
        DeviceError: it can't be reached, or is no POSIX system.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        folder = _private_folder()
        script = _posix.probe(_posix.USERS_CACHE, address.python, runtimes)
        try:
            session = Session(_ssh(address, folder, ["ControlMaster=yes", "ControlPersist=no"], script))
        except OSError as e:
            shutil.rmtree(folder, ignore_errors=True)
            hint = "Install OpenSSH's client, for example: apt install openssh-client"
            raise DeviceError(f"{address.url}: can't start ssh: {e.strerror}", hint) from e
        weakref.finalize(session, shutil.rmtree, folder, ignore_errors=True)
        try:
            return Master(address, session, folder, probed(session, address.url, partial(not_connected, address)))
        except BaseException as e:
            session.close()
            shutil.rmtree(folder, ignore_errors=True)
            if not (isinstance(e, DeviceError) and dropped(session.words) and attempt < _ATTEMPTS):
                raise
        time.sleep(attempt * random.uniform(0.5, 1.5) * _PAUSE_S)
    raise AssertionError("unreachable")


def _ssh(address: Address, folder: Path, more: Sequence[str], script: str) -> list[str]:
    options = [part for option in (*_OPTIONS, f"ConnectTimeout={_CONNECT_S}", *more) for part in ("-o", option)]
    port = ["-p", str(address.port)] if address.port else []
    return ["ssh", "-T", *options, "-S", str(folder / "s"), *port, "--", address.destination, _posix.command(script)]


def _private_folder() -> Path:
    """A folder that only this user can enter, whose path is short enough for a socket, and plain."""
    folder = Path(tempfile.mkdtemp(prefix="edgekd-ssh-"))
    if len(str(folder)) <= _LONGEST_SOCKET and not {*str(folder)} & {*"%$ "}:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="edgekd-ssh-", dir="/tmp"))
