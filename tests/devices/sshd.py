"""A real ssh server on this machine, and what stands for a device behind it.

The device has a Python with numpy and onnxruntime alone, and folders of its own. `sshd` (tests/conftest.py) starts it.
Only the tests' ssh knows it: an `ssh` that comes first on the PATH reads a configuration of its own.
"""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

PROGRAM = "/usr/sbin/sshd"
USER = pwd.getpwuid(os.getuid()).pw_name
_PACKAGES = ("numpy", "onnxruntime")


def missing() -> str:
    """Why there can be no server; empty if there can."""
    absent = [name for name in ("ssh", "ssh-keygen") if not shutil.which(name)]
    absent += [] if Path(PROGRAM).exists() else ["sshd"]
    return f"no {', '.join(absent)} here: apt install openssh-server openssh-client" if absent else ""


@dataclass
class Sshd:
    """A server that runs, as the current user.

    `device` is a host of the tests' ssh configuration; `url` adds the device's Python to it.
    """

    root: Path
    port: int
    process: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def python(self) -> Path:
        """The device's, with numpy and onnxruntime."""
        return self.root / "venv/bin/python"

    @property
    def url(self) -> str:
        return f"ssh://device{self.python}"

    @property
    def cache(self) -> Path:
        """Where the device keeps what is pushed."""
        return self.root / "home/.cache/edgekd"

    @property
    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def connections(self) -> list[psutil.Process]:
        """The server's processes, one or two a connection."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=False)
        return []

    def programs(self) -> list[psutil.Process]:
        """What sessions started on the device, also where the session has ended and what it started has not."""
        home = str(self.root / "home")
        return [one for one in psutil.process_iter() if _home(one) == home and _command(one)]

    def agents(self) -> list[psutil.Process]:
        """Those of the programs that are agents with a runtime."""
        return [one for one in self.programs() if _named(one) != "sh" and "--runtime" in _command(one)]

    def cut(self) -> None:
        """Cut every connection, as a network does: nobody on the device is told before."""
        for one in self.connections():
            for process in (*_children(one), one):
                if _named(process).startswith("sshd"):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()


class Cutting:
    """Cuts the server's connections once a condition holds."""

    def __init__(self, server: Sshd, condition: Callable[[], bool]) -> None:
        self._server, self._condition = server, condition
        self._left = threading.Event()

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._cut)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._left.set()
        self._thread.join()

    def _cut(self) -> None:
        while not true(self._condition):
            if self._left.wait(0.01):
                return
        self._server.cut()


def true(condition: Callable[[], bool]) -> bool:
    """Whether a condition holds: not where a process that it looks at has just ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return condition()
    return False


def assert_nothing_left(server: Sshd) -> None:
    """No process and no partial on the device, and no connection."""
    end = time.monotonic() + 30
    while (server.programs() or server.connections()) and time.monotonic() < end:
        time.sleep(0.05)
    assert not server.programs()
    assert not server.connections()
    assert not [*server.cache.glob("partial/*")]


def assert_no_clients(server: Sshd) -> None:
    """No local process of our connections."""
    end = time.monotonic() + 30
    while _clients(server) and time.monotonic() < end:
        time.sleep(0.05)
    assert not _clients(server)


def _clients(server: Sshd) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "ssh" and f"{server.root}/config" in (process.info["cmdline"] or ()):
            found.append(process)
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children()
    return []


def _named(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.NoSuchProcess:
        return "sshd"


def _home(process: psutil.Process) -> str:
    """Empty where it has just ended."""
    try:
        return process.environ().get("HOME", "")
    except (psutil.Error, OSError):
        return ""


def _command(process: psutil.Process) -> list[str]:
    """Empty where it has just ended."""
    try:
        return list(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []


@contextlib.contextmanager
def serving(
    root: Path,
    *,
    options: Mapping[str, str] | None = None,
    env: Mapping[str, str] | None = None,
    address: str = "127.0.0.1",
    within: Sequence[str] = (),
) -> Iterator[Sshd]:
    """A server below a folder, with its keys, the client's configuration and the device's Python.

    Args:
        root: a folder of its own, which may be new.
        options: of sshd_config.
        env: variables of every session, besides those that keep it apart from this machine.
        address: that it listens on.
        within: the command that runs it, such as one that enters a network namespace.
    """
    if why := missing():
        pytest.skip(why)
    root.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    for name in ("host_key", "key", "other_key"):
        if not (root / name).exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
    shutil.copy(root / "key.pub", root / "authorized_keys")
    _write_python(root / "venv")
    (root / "config").write_text(_client(root, address, port))
    host_key = (root / "host_key.pub").read_text()
    (root / "known_hosts").write_text(f"[{address}]:{port} {host_key}[::1]:{port} {host_key}")
    (root / "bin").mkdir(exist_ok=True)
    (root / "home").mkdir(exist_ok=True)
    # OpenSSH finds ~/.ssh by the user's name, not by $HOME
    (root / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {root}/config "$@"\n')
    (root / "bin/ssh").chmod(0o755)
    variables = {"HOME": str(root / "home"), "EDGEKD_LEASE": str(root / "lease"), **(env or {})}
    (root / "sshd_config").write_text(_server(root, port, {"ListenAddress": address, **(options or {})}, variables))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([*within, PROGRAM, "-D", "-e", "-f", root / "sshd_config"], stderr=log)
    found = Sshd(root, port, process)
    try:
        _wait_for(address, port, found)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
            yield found
    finally:
        found.cut()
        process.terminate()
        process.wait()


def _client(root: Path, address: str, port: int) -> str:
    return f"""
Host device
  HostName {address}
  Port {port}
  User {USER}
Host *
  IdentityFile {root}/key
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {root}/known_hosts
  GlobalKnownHostsFile /dev/null
"""


def _server(root: Path, port: int, options: Mapping[str, str], env: Mapping[str, str]) -> str:
    given = {
        "Port": str(port),
        "HostKey": str(root / "host_key"),
        "AuthorizedKeysFile": str(root / "authorized_keys"),
        "PidFile": "none",
        "UsePAM": "no",
        "StrictModes": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "LogLevel": "VERBOSE",
        **options,
    }
    variables = " ".join(f'"{name}={value}"' for name, value in env.items())
    return "".join(f"{name} {value}\n" for name, value in given.items()) + f"SetEnv {variables}\n"


def _write_python(folder: Path) -> None:
    """A venv that has numpy and onnxruntime and nothing else of what is installed here."""
    if folder.exists():
        return
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    installed = Path(sysconfig.get_path("purelib"))
    (site,) = folder.glob("lib/python3*/site-packages")
    for folder_of in (installed, *map(Path, sys.path)):
        for package in _PACKAGES:
            for found in folder_of.glob(f"{package}*"):
                if found.is_dir() and not (site / found.name).exists():
                    (site / found.name).symlink_to(found)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(address: str, port: int, server: Sshd) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        if server.process.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"sshd does not start:\n{server.log}")
