"""How long-running stages tell what they do; the console shows it, the library never prints."""

from typing import Protocol


class Progress(Protocol):
    """Listens to a running command."""

    def stage(self, name: str, text: str) -> None:
        """A stage of the pipeline starts; `text` says what it does in a few words."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""

    def note(self, text: str) -> None:
        """One line worth reading now, such as a result or a fallback."""


class Silent:
    """Progress for callers that don't listen."""

    def stage(self, name: str, text: str) -> None:
        """Nothing is shown."""

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """Nothing is shown."""

    def note(self, text: str) -> None:
        """Nothing is shown."""
