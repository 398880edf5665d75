"""Standard output and error, made fit to write to, whatever they were opened as."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_all() -> None:
    """Give the process the streams that it was started without, and let none refuse a character.

    A stream that isn't there would be the next file that is opened, or take the output of the other one.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8")  # noqa: SIM115 - a descriptor
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def others_on_stderr() -> Iterator[None]:
    """Within this context what anybody prints on stdout goes to stderr: networks, data sets and libraries may."""
    _flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def close_stdout() -> None:
    """What is printed from now on goes to stderr: the result is out, and stays alone there."""
    stream = sys.__stdout__ or sys.stdout
    try:
        stream.flush()
    except (OSError, ValueError):  # nobody reads it: what is left of it goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os.dup2(2, 1)


def can_say(text: str) -> bool:
    """Whether stdout's encoding has all of its characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _flush() -> None:
    # a closed stdout is reported where results are printed
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
