"""The host's requests, one a line, and its end: what is computed for nobody is given up."""

from __future__ import annotations

import os
import queue
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GRACE_S = 1.0  # for who has just answered to end in order
_GIVEN_UP = 1
_PIECE = 1 << 20


def requests(descriptor: int = 0) -> Iterator[str]:
    """Each line that the host writes; ends as `framed` does."""
    return (line for line, _ in framed(descriptor))


def framed(descriptor: int = 0) -> Iterator[tuple[str, bytes]]:
    """Each line that the host writes and the frame before it, until it closes the other end or ends, however it does.

    A line `#N` says that N bytes follow: the frame of the next line. From the end on the process has a second: a
    computation that continues, in native code too, ends with it.
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
    os._exit(_GIVEN_UP)


class _Stream:
    """Reads a descriptor; not sys.stdin, whose lock a thread that waits would hold when Python ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = bytearray()

    def line(self) -> bytes | None:
        """The next line without its end; None at the end of all."""
        searched = 0
        while True:
            end = self._rest.find(b"\n", searched)
            if end >= 0:
                return self._taken(end + 1)[:-1]
            searched = len(self._rest)
            if not self._more():
                return None

    def exactly(self, size: int) -> bytes:
        """As many bytes; fewer at the end of all."""
        while len(self._rest) < size and self._more():
            pass
        return self._taken(size)

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def _more(self) -> bool:
        piece = os.read(self._descriptor, _PIECE)
        self._rest += piece
        return bool(piece)
