"""A thread for each device. What is no longer wanted is unwound, so that it leaves nothing open."""

import ctypes
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_POLL_S = 0.2
_UNWINDING_S = 6.0  # to end an agent, the lease's keeper and a connection, two seconds each at most


class StoppedError(SystemExit):  # a SystemExit ends a thread without a word, wherever it is
    """Nobody wants what the thread is at any more."""


@dataclass(frozen=True)
class Work:
    """What one thread does."""

    do: Callable[[], None]
    # not by Thread.join: interrupted, it takes the thread for ended (Python 3.11)
    ended: threading.Event = field(default_factory=threading.Event)
    unwanted: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Do it. Raises nothing when it is stopped."""
        try:
            with suppress(StoppedError):
                if not self.unwanted.is_set():
                    self.do()
        finally:
            self.ended.set()


@contextmanager
def at_once(works: Sequence[Callable[[], None]]) -> Iterator[list[Work]]:
    """Starts all of them. At the end of the block, however it is left, those still at work are unwound.

    That takes a bounded time. One that doesn't unwind within it, as it waits for the system, ends with this process.
    """
    started: list[tuple[Work, threading.Thread]] = []
    try:
        for do in works:
            work = Work(do)
            thread = threading.Thread(target=work.run, daemon=True)
            # before it starts, for a Ctrl-C may come as it does
            started.append((work, thread))
            thread.start()
        yield [work for work, _ in started]
    finally:
        for work, thread in started:
            work.unwanted.set()
            # a thread without an identity has not begun its work, and will not
            if thread.ident is not None and not work.ended.is_set():
                identity, error = ctypes.c_ulong(thread.ident), ctypes.py_object(StoppedError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, error)
        wait([work for work, _ in started], _UNWINDING_S)


def wait(works: Sequence[Work], timeout_s: float) -> None:
    """Wait until they have ended, for at most so long; a signal is heard meanwhile."""
    end = time.monotonic() + timeout_s
    for work in works:
        # a wait without end would let no signal through on every system
        while not work.ended.wait(max(0.0, min(_POLL_S, end - time.monotonic()))) and time.monotonic() < end:
            pass
