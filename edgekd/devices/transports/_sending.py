"""Sends files to a device as one tar archive, piece by piece: no file is held in memory."""

import math
import os
import re
import tarfile
import time
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, cast

import edgekd
from edgekd.devices.transports import _posix
from edgekd.devices.transports._failures import freeing
from edgekd.devices.transports._session import Feed, Session
from edgekd.errors import DeviceError, DiskFullError, StorageError
from edgekd.visible import visible_name

_PACKAGE = Path(edgekd.__file__).parent
_PIECE = 1 << 20
_STALLED_S = 300.0
_CHECKING_S = 600.0  # hashing and syncing a large file on a slow card


class NotSentError(Exception):
    """The session ended, or the device refused the files; the text says after how much."""


def size_of(folder: Path, hashes: Mapping[str, str]) -> int:
    """The bytes of the files. Raises StorageError."""
    try:
        return sum((folder / name).stat().st_size for name in hashes)
    except OSError as e:
        raise StorageError(f"{e.filename}: {e.strerror}", "Give files that can be read.") from e


def doing(folder: Path, hashes: Mapping[str, str], size: int) -> str:
    """For messages: that these files, of so many bytes, can't be sent."""
    what = "edgekd's agent" if folder.is_relative_to(_PACKAGE) else visible_name(next(iter(hashes)))
    return f"can't send {what} ({size / 1e6:.1f} MB)"


def send(session: Session, folder: Path, hashes: Mapping[str, str], key: str, url: str) -> None:
    """Send the files to a session that runs `_posix.receive`, if the device does not have them.

    Raises:
        NotSentError: the session failed; its stderr says why.
        DiskFullError: the device has no room for them.
        DeviceError: the device lacks a program, or files arrived damaged.
        StorageError: a file here can't be read.
    """
    answer = session.line(_CHECKING_S)
    if answer == "send":
        feed = Feed(session, _STALLED_S)
        try:
            _archive(feed, folder, hashes, key)
        except (BrokenPipeError, TimeoutError) as e:
            raise NotSentError(f", after {feed.written / 1e6:.1f} MB") from e
        except OSError as e:
            raise StorageError(f"{folder}: {e.strerror or e}", "The files must not change while they are sent.") from e
        session.stdin.close()
        answer = session.line(_CHECKING_S)
    verdict, _, detail = (answer or "").partition(" ")
    if verdict == "full" and re.fullmatch(r"[0-9]{1,15}", detail):
        # rounded apart, so that what is free is never as much as what is to be sent
        size, free = math.ceil(size_of(folder, hashes) / 1e5) / 10, int(detail) * 1024 // 100_000 / 10
        message = f"{url}: its disk is full: {size:.1f} MB are to be sent, {free:.1f} MB are free"
        raise DiskFullError(message, freeing(url))
    if verdict == "lacks":
        hint = "Install it there; what edgekd sends is unpacked and checked by tar and sha256sum."
        raise DeviceError(f"{url}: it has no {visible_name(detail)}", hint)
    if verdict == "differs":
        message = f"{url}: {visible_name(detail)} arrived damaged, or was changed while it was sent"
        raise DeviceError(message, "Try again.")
    if verdict not in ("has", "done"):
        raise NotSentError("")


def _archive(feed: Feed, folder: Path, hashes: Mapping[str, str], key: str) -> None:
    """What `_posix.receive` expects. Raises OSError: BrokenPipeError and TimeoutError of the feed alone."""
    with tarfile.TarFile(fileobj=cast(IO[bytes], feed), mode="w", format=tarfile.GNU_FORMAT, copybufsize=_PIECE) as tar:
        for name in hashes:
            with (folder / name).open("rb") as file:  # of a link, what it leads to
                size = (folder / name).stat().st_size
                mode = 0o700 if os.access(folder / name, os.X_OK) else 0o600
                tar.addfile(_member(f"{key}/{name}", size, mode), file)
        checks = _posix.checks(hashes)
        tar.addfile(_member("check", len(checks)), BytesIO(checks))


def _member(name: str, size: int, mode: int = 0o600) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, mode, int(time.time())
    return member
