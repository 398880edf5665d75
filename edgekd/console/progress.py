"""What a running command does, on stderr."""

import sys
import threading
import time
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from edgekd.console.pace import Pace
from edgekd.console.writing import note
from edgekd.progress import about
from edgekd.streams import others_on_stderr
from edgekd.visible import visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

Loudness = Literal["quiet", "normal", "verbose"]
"""`quiet`: only warnings; `verbose`: details as well, such as commands and what was found in caches."""

_LINE_EVERY_S = 30
_LOOK_S = 1.0


class ConsoleProgress:
    """Shows a running command on stderr: on a terminal a bar with rate and time left, else a line now and then.

    A context manager, which restores the terminal. Within it, whatever is printed to stdout goes to stderr.
    """

    def __init__(self, loudness: Loudness = "normal") -> None:
        self._loudness, self._around = loudness, ExitStack()
        self._bar: Bar | None = None
        self._said, self._lock, self._ended = 0.0, threading.Lock(), threading.Event()
        self._pace = Pace(time.monotonic())
        self._left_s: float | None = None
        self.current = ""

    def __enter__(self) -> Self:
        self._around.enter_context(others_on_stderr())
        if self._loudness == "verbose":
            from edgekd.console.details import told

            self._around.enter_context(told(self._say))
        if self._loudness == "quiet":
            return self
        if sys.stderr.isatty():
            self._bar = _bar()
            self._task = self._bar.add_task("", total=None, pace="", visible=False)
            self._bar.start()
        else:
            threading.Thread(target=self._keep_saying, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if self._bar:
            self._bar.stop()
        self._around.__exit__(kind, error, at)

    def stage(self, name: str, text: str) -> None:
        """A stage of the pipeline starts."""
        self.current = f"{name}: {text}"
        with self._lock:
            self._said, self._pace = time.monotonic(), Pace(time.monotonic())
        if self._loudness != "quiet":
            self._say(self.current)
        if self._bar:
            self._bar.reset(self._task, total=None, description=visible(text), pace="", visible=True)

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""
        self._pace.advance(time.monotonic(), done, total, detail)
        if self._bar:
            self._bar.update(self._task, completed=done, total=total, pace=self._shown(self._pace.told()))
        else:
            self._now_and_then()

    def note(self, text: str) -> None:
        """One line to read now."""
        if self._loudness != "quiet":
            self._say(f"  {text}")

    def warn(self, text: str) -> None:
        """One line to read now, even if the command is to be quiet."""
        self._say(f"  {text}")

    def forecast(self, seconds: float) -> None:
        """About how long the whole command still takes."""
        self._left_s = seconds
        if self._bar:
            self._bar.update(self._task, pace=self._shown(self._pace.told()))

    def _shown(self, pace: str) -> str:
        whole = "" if self._left_s is None else f"in all about {about(self._left_s)} left"
        return ", ".join(part for part in (pace, whole) if part)

    def _now_and_then(self) -> None:
        """A line of how far the stage is, if the last one is long ago."""
        now = time.monotonic()
        with self._lock:
            if self._loudness == "quiet" or not self.current or now - self._said < _LINE_EVERY_S:
                return
            self._said = now
        self._say(f"  {self._shown(self._pace.told() or f'for {about(now - self._pace.started)}')}")

    def _keep_saying(self) -> None:
        """Stages that can't tell how far they are aren't silent."""
        while not self._ended.wait(_LOOK_S):
            self._now_and_then()

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(visible(text))
        else:
            note(text)


def _bar() -> "Bar":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[pace]}")]
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    return Progress(*columns, console=console, transient=True)
