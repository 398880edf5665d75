"""What ends a command from outside unwinds it, as Ctrl-C does: children end, locks go, what was finished is kept."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def unwinding() -> Iterator[list[int]]:
    """Within this context such a signal raises KeyboardInterrupt, once; those that came are in the list.

    One that whoever started the process lets it ignore, as nohup does, stays ignored.
    """
    received: list[int] = []
    owner = os.getpid()

    def unwind(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a child that was forked off, whose end is its own
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
            return
        signal.signal(number, signal.SIG_IGN)
        received.append(number)
        raise KeyboardInterrupt

    handled = [n for n in _ENDING if signal.getsignal(n) == signal.SIG_DFL] if _in_main_thread() else []
    for number in handled:
        signal.signal(number, unwind)
    try:
        yield received
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
