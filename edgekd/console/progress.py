"""What a running command does, on stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edgekd.console.writing import note
from edgekd.streams import others_on_stderr
from edgekd.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_LINE_EVERY_S = 10


class ConsoleProgress:
    """Shows a running command on stderr: on a terminal a bar with rate and time left, else a line now and then.

    A context manager, which restores the terminal. Within it, whatever is printed to stdout goes to stderr.
    """

    def __init__(self) -> None:
        self._stdout = others_on_stderr()
        self._bar: Bar | None = None
        self._said = 0.0
        self._first: tuple[float, int] | None = None

    def __enter__(self) -> Self:
        self._stdout.__enter__()
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[pace]}")]
            console = Console(stderr=True, markup=False, highlight=False, emoji=False)
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=None, pace="", visible=False)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()
        self._stdout.__exit__(kind, error, at)

    def stage(self, name: str, text: str) -> None:
        """A stage of the pipeline starts."""
        self._said, self._first = time.monotonic(), None
        self._say(f"{name}: {text}")
        if self._bar:
            self._bar.reset(self._task, total=None, description=visible(text), pace="", visible=True)

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""
        now = time.monotonic()
        if self._first is None:
            self._first = (now, done)
        pace = f"{done} of {total}{_pace(now - self._first[0], done - self._first[1], total - done)}"
        pace += f", {detail}" if detail else ""
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, pace=pace)
        elif now - self._said >= _LINE_EVERY_S:
            self._said = now
            self._say(f"  {pace}")

    def note(self, text: str) -> None:
        """One line to read now."""
        self._say(f"  {text}")

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(visible(text))
        else:
            note(text)


def _pace(seconds: float, done: int, left: int) -> str:
    """Rate and time left, once they can be computed."""
    if done <= 0 or seconds <= 0:
        return ""
    rate, remaining = done / seconds, round(left * seconds / done)
    return f", {rate:.3g}/s, {remaining // 60}:{remaining % 60:02d} left"
