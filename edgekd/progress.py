"""How long-running stages tell what they do; the console shows it, the library never prints.

Details for whoever looks for a cause, such as commands that are run, are logged below the logger `edgekd`.
"""

import logging
import shlex
from collections.abc import Sequence
from typing import Protocol

_log = logging.getLogger(__name__)


class Progress(Protocol):
    """Listens to a running command."""

    def stage(self, name: str, text: str) -> None:
        """A stage of the pipeline starts; `text` says what it does in a few words."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""

    def note(self, text: str) -> None:
        """One line worth reading now, such as a result."""

    def warn(self, text: str) -> None:
        """One line that must be read, such as a fallback, even by whoever wants results alone."""

    def forecast(self, seconds: float) -> None:
        """About how long the whole command still takes, by an estimate."""


class Silent:
    """Progress for callers that don't listen."""

    def stage(self, name: str, text: str) -> None:
        """Nothing is shown."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Nothing is shown."""

    def warn(self, text: str) -> None:
        """A note to whoever tells them not apart."""
        self.note(text)

    def forecast(self, seconds: float) -> None:
        """Nothing is shown."""


def runs(command: Sequence[str]) -> None:
    """Logs a command that is about to be run, as it can be typed."""
    _log.debug("runs: %s", shlex.join(command))


def about(seconds: float) -> str:
    """A duration as one says it: 40 s, 12 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
