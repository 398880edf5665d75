"""Reads the host's requests, one per line; when the host disconnects, running computations are aborted."""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRACE_S = 1.0  # for a regular exit after the last answer
_ABORTED = 1
_CHUNK = 1 << 20
_temporary: list[str] = []


@contextmanager
def temporary_folder() -> Iterator[str]:
    """A folder that is removed at the end, also where the host ends meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        _temporary.append(folder)
        try:
            yield folder
        finally:
            _temporary.remove(folder)


def requests(descriptor: int = 0) -> Iterator[str]:
    """Each line that the host writes; ends like `framed`."""
    return (line for line, _ in framed(descriptor))


def framed(descriptor: int = 0) -> Iterator[tuple[str, bytes]]:
    """Each line that the host writes, with the frame before it, until the host closes the stream or ends.

    A line `#N` announces N bytes, the frame of the next line. One second after the end of the stream the process is
    terminated, even if native code is still running.
    """
    found: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(descriptor, found), daemon=True).start()
    while True:
        request = found.get()
        if request is None:
            return
        yield request


def _read(descriptor: int, found: queue.SimpleQueue[tuple[str, bytes] | None]) -> None:
    stream, frame = _Stream(descriptor), b""
    while True:
        line = stream.line()
        if line is None:
            break
        if line.startswith(b"#"):
            frame = stream.exactly(int(line[1:]))
        else:
            found.put((line.decode("utf-8", "replace"), frame))
            frame = b""
    found.put(None)
    time.sleep(_GRACE_S)
    for folder in list(_temporary):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(_ABORTED)


class _Stream:
    """Reads a descriptor; not sys.stdin, because a waiting thread would hold its lock at interpreter exit."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = bytearray()

    def line(self) -> bytes | None:
        """The next line without its newline; None at the end of the stream."""
        searched = 0
        while True:
            end = self._rest.find(b"\n", searched)
            if end >= 0:
                return self._taken(end + 1)[:-1]
            searched = len(self._rest)
            if not self._more():
                return None

    def exactly(self, size: int) -> bytes:
        """`size` bytes; fewer at the end of the stream."""
        while len(self._rest) < size and self._more():
            pass
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def _more(self) -> bool:
        chunk = os.read(self._descriptor, _CHUNK)
        self._rest += chunk
        return bool(chunk)
