"""What ends a command from outside unwinds it, as Ctrl-C does: children end, locks go, what was finished is kept."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(BaseException):
    """A KeyboardInterrupt with notes. Typer takes one without this for an exit code, and drops its notes."""


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_LOOK_S = 1.0
_SOON_S = 0.05
_GRACE_S = 5.0  # a thread that waits for other processes in native code doesn't unwind


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

    def lost(what: "sys.UnraisableHookArgs") -> None:
        """Python only reports what is raised in a finaliser or a weak reference's callback: the signal comes again."""
        if os.getpid() != owner or not issubclass(what.exc_type, KeyboardInterrupt) or not _in_main_thread():
            report(what)
            return
        number = received.pop() if received else signal.SIGINT
        if number in handled:
            signal.signal(number, unwind)
        again = threading.Timer(_SOON_S, os.kill, (owner, number))  # not now, since this can't raise either
        again.daemon = True
        again.start()

    handled = [n for n in _ENDING if signal.getsignal(n) == signal.SIG_DFL] if _in_main_thread() else []
    for number in handled:
        signal.signal(number, unwind)
    report, sys.unraisablehook = sys.unraisablehook, lost
    try:
        yield received
    finally:
        sys.unraisablehook = report
        for number in handled:
            signal.signal(number, signal.SIG_DFL)


def end_with_parent() -> None:
    """From now on the end of the process that started this one, which may be killed, ends this one too.

    For those that have no pipe to their parent which would close. It is asked to unwind, and then has some seconds.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE_S)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
