"""A phone for tests: the device's side of the adb protocol over TCP, so that the real `adb` talks to it.

Its programs are Android's own shell and tools, mksh and toybox (Debian's packages); of this machine's programs it has
no other. It runs the services of `adb shell` (protocol v2: stdin, stdout, stderr, exit code).

Source: the description of the protocol in AOSP's packages/modules/adb (protocol.txt, SERVICES.TXT, shell_protocol.h).
"""

import contextlib
import itertools
import os
import queue
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CNXN, AUTH, OPEN, OKAY, CLSE, WRTE = (
    int.from_bytes(name, "little") for name in (b"CNXN", b"AUTH", b"OPEN", b"OKAY", b"CLSE", b"WRTE")
)
VERSION, LARGEST = 0x01000001, 1 << 20
TOKEN, SIGNATURE = 1, 2
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)

_HEADER = struct.Struct("<6I")
_PIECE = 1 << 16


@dataclass
class Phone:
    """What the device is.

    Args:
        folder: its files are below it.
        features: that it announces.
        authorized: whether it accepts the host's key.
        setup: shell commands that its programs are started after.
        machine: what its `uname -m` says.
    """

    folder: Path
    features: str = "shell_v2,cmd,stat_v2"
    authorized: bool = True
    setup: str = ""
    machine: str = "aarch64"
    received: int = 0
    """Bytes that were written to the stdin of its programs."""
    commands: list[str] = field(default_factory=list)

    @property
    def storage(self) -> Path:
        """What is /data/local/tmp on a phone."""
        return self.folder / "data" / "local" / "tmp"

    def __post_init__(self) -> None:
        self.storage.mkdir(parents=True)
        programs = self.folder / "bin"
        programs.mkdir()
        toybox = shutil.which("toybox")
        assert toybox
        for name in subprocess.run([toybox], capture_output=True, text=True, check=True).stdout.split():
            (programs / name).symlink_to(toybox)
        (programs / "uname").unlink()
        (programs / "uname").write_text(
            f'#!/bin/sh\n[ "$1" = -m ] && echo {self.machine} || exec {toybox} uname "$@"\n'
        )
        (programs / "uname").chmod(0o755)
        (programs / "sh").symlink_to(str(shutil.which("mksh")))

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Run a command as `adb shell` does."""
        self.commands.append(command)
        programs = self.folder / "bin"
        environment = {
            "PATH": str(programs),
            "TMPDIR": str(self.storage),
            "HOME": "/",
            "SHELL": "/system/bin/sh",
            "ANDROID_ROOT": "/system",
            "EDGEKD_LEASE": str(self.storage / "edgekd.lease"),
        }
        arguments = [str(programs / "sh"), "-c", command]
        if self.setup:
            arguments = ["/usr/bin/unshare", "-rm", "/bin/bash", "-ec", f'{self.setup}\nexec "$@"', "sh", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd="/", start_new_session=True
        )


class Adbd:
    """Serves a phone at 127.0.0.1; use as a context manager."""

    def __init__(self, phone: Phone) -> None:
        self.phone = phone
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._connections: list[Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def serial(self) -> str:
        """As `adb devices` lists it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> "Adbd":
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()
        self.unplug()

    def unplug(self) -> None:
        """Pull the cable: what runs for the host is ended."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                opened, _ = self._listening.accept()
                connection = Connection(opened, self.phone)
                self._connections.append(connection)
                threading.Thread(target=connection.serve, daemon=True).start()


class Connection:
    """One connection of an adb server."""

    def __init__(self, opened: socket.socket, phone: Phone) -> None:
        self._socket, self.phone = opened, phone
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._numbers = itertools.count(1)

    def serve(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            while True:
                command, first, second, length, _, _ = _HEADER.unpack(self._exactly(_HEADER.size))
                self._answer(command, first, second, self._exactly(length))
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for stream in [*self._streams.values()]:
            stream.end()

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        header = _HEADER.pack(
            command, first, second, len(data), sum(data) & 0xFFFFFFFF if command == CNXN else 0, command ^ 0xFFFFFFFF
        )
        with self._sending:
            self._socket.sendall(header + data)

    def forget(self, stream: "Stream") -> None:
        self._streams.pop(stream.number, None)

    def _exactly(self, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            piece = self._socket.recv(length - len(found))
            if not piece:
                raise OSError("closed")
            found += piece
        return bytes(found)

    def _answer(self, command: int, first: int, second: int, data: bytes) -> None:
        if command in (CNXN, AUTH):
            self._greet(command, first)
        elif command == OPEN:
            self._open(first, data.rstrip(b"\0").decode("utf-8", "surrogateescape"))
        elif (stream := self._streams.get(second)) is None:
            if command == WRTE:
                self.send(CLSE, second, first)
        elif command == OKAY:
            stream.may_send.release()
        elif command == WRTE:
            stream.received.put(data)
        elif command == CLSE:
            stream.end()

    def _greet(self, command: int, kind: int) -> None:
        if self.phone.authorized:
            names = "".join(f"ro.product.{key}=test;" for key in ("name", "model", "device"))
            self.send(CNXN, VERSION, LARGEST, f"device::{names}features={self.phone.features}".encode())
        elif command == CNXN or kind == SIGNATURE:  # then the user of a phone would be asked
            self.send(AUTH, TOKEN, 0, bytes(20))

    def _open(self, remote: int, service: str) -> None:
        kind, _, command = service.partition(":")
        if kind.split(",")[:2] != ["shell", "v2"]:
            self.send(CLSE, 0, remote)
            return
        number = next(self._numbers)
        self._streams[number] = stream = Stream(self, number, remote)
        self.send(OKAY, number, remote)
        stream.start(command)


class Stream:
    """One `adb shell`."""

    def __init__(self, connection: Connection, number: int, remote: int) -> None:
        self._connection, self.number, self._remote = connection, number, remote
        self.received: queue.Queue[bytes | None] = queue.Queue()
        self.may_send = threading.Semaphore(1)
        self._ended = threading.Event()
        self._sending = threading.Lock()

    def start(self, command: str) -> None:
        self._process = self._connection.phone.start(command)
        readers = [
            threading.Thread(target=self._copy, args=which, daemon=True)
            for which in ((STDOUT, self._process.stdout), (STDERR, self._process.stderr))
        ]
        for reader in readers:
            reader.start()
        threading.Thread(target=self._feed, daemon=True).start()
        threading.Thread(target=self._finish, args=(readers,), daemon=True).start()

    def end(self) -> None:
        """The host has gone: the program gets the end of its stdin, as from adbd."""
        self._ended.set()
        self.may_send.release()
        self.received.put(None)
        self._connection.forget(self)

    def _feed(self) -> None:
        """From the host to the program; each piece is acknowledged when the program has taken it."""
        buffered = bytearray()
        stdin = self._process.stdin
        with contextlib.suppress(OSError, ValueError), stdin:
            while (piece := self.received.get()) is not None:
                buffered += piece
                while len(buffered) >= 5 and len(buffered) >= 5 + (length := int.from_bytes(buffered[1:5], "little")):
                    kind, data = buffered[0], bytes(buffered[5 : 5 + length])
                    del buffered[: 5 + length]
                    if kind == STDIN:
                        with contextlib.suppress(BrokenPipeError):
                            stdin.write(data)
                            stdin.flush()
                            self._connection.phone.received += len(data)
                    elif kind == CLOSE_STDIN:
                        stdin.close()
                self._connection.send(OKAY, self.number, self._remote)

    def _copy(self, kind: int, source) -> None:
        with contextlib.suppress(OSError), source:
            while piece := os.read(source.fileno(), _PIECE):
                self._send(kind, piece)

    def _send(self, kind: int, data: bytes) -> None:
        with self._sending:
            self.may_send.acquire()
            if not self._ended.is_set():
                self._connection.send(
                    WRTE, self.number, self._remote, bytes([kind]) + len(data).to_bytes(4, "little") + data
                )

    def _finish(self, readers: list[threading.Thread]) -> None:
        code = self._process.wait()
        for reader in readers:
            reader.join()
        with contextlib.suppress(OSError):
            self._send(EXIT, bytes([code & 0xFF if code >= 0 else 128 - code]))
            if not self._ended.is_set():
                self._connection.send(CLSE, self.number, self._remote)
        self.end()


def missing() -> str:
    """Why there can be no phone; empty if there can."""
    absent = [name for name in ("adb", "toybox", "mksh") if not shutil.which(name)]
    return f"no {', '.join(absent)} here: apt install adb toybox mksh" if absent else ""


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[None]:
    """An adb server for the tests alone, with keys and a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        patch.setenv("HOME", str(home))
        patch.setenv("ADB_LOCAL_TRANSPORT_MAX_PORT", "5553")  # no emulators are searched for
        yield
        subprocess.run(["adb", "kill-server"], capture_output=True, timeout=30)


def adb(*arguments: str) -> str:
    """What adb prints."""
    return subprocess.run(["adb", *arguments], capture_output=True, text=True, timeout=30).stdout
