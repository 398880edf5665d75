"""The lease on a device: who holds it measures there alone, and everybody else waits.

It is an exclusive lock (flock) on one file for all users of the device, which the system releases when the process that
holds it ends, however it does. That process, the keeper, does nothing else. It ends by itself when its host has not
renewed the lease for so long that it must be gone. The file's text says who holds it; no wall clock is read, so a clock
that is set doesn't matter.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import threading
import time
from typing import TYPE_CHECKING

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol
else:  # on a device this folder is all there is
    import protocol

_LEFT = 3  # the exit code of a keeper whose lease ran out
_LONGEST_TEXT = 4096
_TRIES = 5  # another process only looks who holds it, which takes the lock for a moment
_BETWEEN_TRIES_S = 0.05
_LOCK = "/tmp/edgekd.lease"
_ANDROID_LOCK = "/data/local/tmp/edgekd.lease"


class LeaseError(ValueError):
    """The lease can't be taken or kept: why, and the remedy as `hint`."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def path() -> str:
    """The file: `$EDGEKD_LEASE` on the device, else the usual one."""
    return os.environ.get("EDGEKD_LEASE") or (_ANDROID_LOCK if "ANDROID_ROOT" in os.environ else _LOCK)


def read() -> protocol.Leased:
    """Who holds the lease now. Raises LeaseError."""
    descriptor = _opened(path(), create=False)
    if descriptor is None:
        return protocol.Leased(mine=False, holder=None)
    try:
        # shared, so that two that look don't see each other
        free = _locked(descriptor, fcntl.LOCK_SH)
        return protocol.Leased(mine=False, holder=None if free else _holder(descriptor))
    finally:
        os.close(descriptor)


class Keeper:
    """Takes the lease, keeps it while it is renewed, and gives it back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._descriptor: int | None = None  # of the locked file
        self._expires_s = 0.0
        self._deadline: float | None = None  # of the monotonic clock; None while nothing is kept or waited for
        self._watch: threading.Thread | None = None

    def acquire(self, request: protocol.Acquire) -> protocol.Leased:
        """Take the lease if it is free; who holds it now. Raises LeaseError."""
        with self._changed:
            self._expires_s = request.expires_s
            self._renewed()
            if self._descriptor is None:
                self._descriptor = _taken(path())
            if self._descriptor is None:
                return read()
            held = json.dumps({"who": request.who, "since": time.monotonic()})
            _write(self._descriptor, held.encode())
            return protocol.Leased(mine=True, holder=_holder(self._descriptor))

    def renew(self) -> protocol.Leased:
        """Keep the lease for another while. Raises LeaseError if it is not held any more."""
        with self._changed:
            if self._descriptor is None:
                raise LeaseError("the lease is not held", "Measure again.")
            if not _is_at(self._descriptor, path()):
                raise LeaseError(f"{path()} was removed or replaced", "Leave it where it is, and measure again.")
            self._renewed()
            return protocol.Leased(mine=True, holder=_holder(self._descriptor))

    def release(self) -> protocol.Leased:
        """Give the lease back."""
        with self._changed:
            self._deadline = None
            self._changed.notify()
            if self._descriptor is not None:
                _write(self._descriptor, b"")
                os.close(self._descriptor)
                self._descriptor = None
            return protocol.Leased(mine=False, holder=None)

    def _renewed(self) -> None:
        self._deadline = time.monotonic() + self._expires_s
        if self._watch is None:
            self._watch = threading.Thread(target=self._end_when_left, daemon=True)
            self._watch.start()
        self._changed.notify()

    def _end_when_left(self) -> None:
        """End the process when the lease is not renewed in time, also while it is waited for."""
        with self._changed:
            while True:
                left = None if self._deadline is None else self._deadline - time.monotonic()
                if left is not None and left <= 0:
                    # whatever else this process does, it ends, and with it the lock
                    sys.stderr.write(f"the lease was not renewed for {self._expires_s:g} s and has ended\n")
                    sys.stderr.flush()
                    os._exit(_LEFT)
                self._changed.wait(left)


def _taken(where: str) -> int | None:
    """The locked file; None if another process holds it. Raises LeaseError."""
    for tried in range(_TRIES):
        if tried:
            time.sleep(_BETWEEN_TRIES_S)
        descriptor = _opened(where, create=True)
        assert descriptor is not None
        # a file that was removed in between locks nothing
        if _locked(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, where):
            return descriptor
        os.close(descriptor)
    return None


def _locked(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as e:
        raise _refused(path(), e) from e
    return True


def _opened(where: str, create: bool) -> int | None:
    """The file, open to read and write; None if there is none and it isn't to be made. Raises LeaseError."""
    if fcntl is None:
        raise LeaseError("this system has no locks of files (flock)", "Measure on Linux, Android or macOS.")
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            # Linux refuses to make what another user has made already in a folder that all may write to
            descriptor = os.open(where, flags)
        except FileNotFoundError:
            if not create:
                return None
            descriptor = _made(where, flags)
    except OSError as e:
        raise _refused(where, e) from e
    found = os.fstat(descriptor)
    # of a file with a second name the content would be lost
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise _refused(where, None)
    return descriptor


def _made(where: str, flags: int) -> int:
    try:
        descriptor = os.open(where, flags | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:  # another process was faster
        return os.open(where, flags)
    os.fchmod(descriptor, 0o666)  # whatever the umask
    return descriptor


def _refused(where: str, error: OSError | None) -> LeaseError:
    if error is None or error.errno == errno.ELOOP:
        what = "is a link" if error else "is not a plain file of its own"
        return LeaseError(f"{where} {what}", f"Remove it on the device: rm {where}")
    if error.errno == errno.EACCES and os.path.lexists(where):
        hint = f"Let its owner run there: chmod 666 {where}; or remove it while nobody measures."
    else:
        hint = "Make its folder writable, or set EDGEKD_LEASE on the device to a file that all its users can write."
    return LeaseError(f"{where}: {error.strerror}", hint)


def _is_at(descriptor: int, where: str) -> bool:
    """Whether the open file is still the one at that path."""
    try:
        found = os.lstat(where)
    except OSError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))


def _write(descriptor: int, text: bytes) -> None:
    os.pwrite(descriptor, text, 0)
    os.ftruncate(descriptor, len(text))


def _holder(descriptor: int) -> protocol.Holder:
    """Who holds it, as the file says; "unknown" if that can't be read, as while it is written."""
    try:
        said = json.loads(os.pread(descriptor, _LONGEST_TEXT, 0))
        held_s = time.monotonic() - said["since"]
        found = {"who": said["who"], "held_s": held_s if held_s >= 0 else None}
        return protocol.read(protocol.Holder, found)
    except (ValueError, KeyError, TypeError, RecursionError):
        return protocol.Holder("unknown", None)
