"""Work on images by threads, in order, within a stated memory."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
Indices = NDArray[np.int64]
"""Images by their position, (N,)."""

# the part of the work that holds Python's lock, about a tenth, keeps more of them from being of use
_MOST_THREADS = 8


def in_turn(work: Callable[[int], T], batches: Sequence[Indices]) -> Iterator[list[T]]:
    """What `work` makes of each index, batch after batch, while threads are at the next batch already.

    Raises:
        Exception: what `work` raised, in the first batch in which it did.
    """
    threads = min(_MOST_THREADS, cores())
    pool = ThreadPoolExecutor(threads, "images")
    waiting: deque[list[Future[T]]] = deque()
    try:
        for indices in batches:
            waiting.append([pool.submit(work, index) for index in indices.tolist()])
            # enough for all threads behind the batch that is wanted now
            if sum(map(len, waiting)) - len(waiting[0]) >= 2 * threads:
                yield [future.result() for future in waiting.popleft()]
        while waiting:
            yield [future.result() for future in waiting.popleft()]
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Room:
    """Makes threads wait until what they take, with what others have taken, is at most `most`.

    What is more by itself is let in alone.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Within this context so much is taken."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self._most)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()
