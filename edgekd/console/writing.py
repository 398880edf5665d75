"""Texts on stdout and stderr, made safe for a terminal."""

import contextlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.console.table import table
from edgekd.errors import EdgekdError
from edgekd.streams import can_say
from edgekd.visible import visible

if TYPE_CHECKING:
    from edgekd.values import Value


def error(e: EdgekdError) -> None:
    """An error and its remedy."""
    note(f"error: {e.message}")
    if e.hint:
        note(f"hint: {e.hint}")


def bug(e: Exception, log: Path | None) -> None:
    """A bug in edgekd, and the log file with its details; None if they were printed."""
    note(f"error: this is a bug in edgekd: {type(e).__name__}: {e}")
    note(f"hint: please report it with {log or 'the lines above'}")


def note(text: str) -> None:
    """One line on stderr."""
    with contextlib.suppress(OSError):  # nobody reads it, or its disk is full: the exit code remains
        print(visible(text), file=sys.stderr)


def text(found: str) -> None:
    """A text on stdout, as it is."""
    print(visible(found), end="")


def json(value: "Value") -> None:
    """The JSON document of a value on stdout, with escapes for characters that stdout can't encode."""
    found = value.model_dump_json(indent=1)
    print(found if can_say(found) else _escaped(found))


def _escaped(document: str) -> str:
    import json

    return re.sub("[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], document)


def say(found: str = "", *, first: str = "") -> None:
    """One text on stdout, made safe for a terminal; `first` is edgekd's own and may have colours."""
    print(f"{first}{visible(found)}")


_ANSI_COLOURS = {"pass": 32, "fail": 31, "inconclusive": 33, "not measured": 33, "invalid": 35}


def coloured(text: str, status: str) -> str:
    """A text in the colour of a verdict, on a terminal that wants colours."""
    if not sys.stdout.isatty() or "NO_COLOR" in os.environ:
        return text
    return f"\x1b[{_ANSI_COLOURS[status]}m{text}\x1b[0m"


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Rows below their headings on stdout."""
    print(table(rows, terminal=sys.stdout.isatty()))
