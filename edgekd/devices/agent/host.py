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


def requests(descriptor: int = 0) -> Iterator[str]:
    """Each line that the host writes, until it closes the other end or is no more, however it ended.

    From then on the process has a second: a computation that goes on, in native code too, ends with it.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(descriptor, lines), daemon=True).start()
    while True:
        line = lines.get()
        if line is None:
            return
        yield line


def _read(descriptor: int, lines: queue.SimpleQueue[str | None]) -> None:
    # not from sys.stdin, whose lock a thread that waits would hold when Python ends
    rest = b""
    while True:
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            break
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            lines.put(line.decode("utf-8", "replace"))
    lines.put(None)
    time.sleep(_GRACE_S)
    os._exit(_GIVEN_UP)
