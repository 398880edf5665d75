"""What a runtime module provides.

A runtime module is also copied to devices and loaded there by path, beside the agent: it imports the standard
library, numpy and its own runtime, and nothing of edgekd at run time.
"""

from collections.abc import Mapping
from typing import Any, Protocol


class Session(Protocol):
    """An opened artifact."""

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with strings or None for free axes) and numpy dtype name of each input."""

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are there."""


class Runtime(Protocol):
    """The members of a runtime module."""

    formats: tuple[str, ...]

    def describe(self) -> dict[str, str]:
        """`runtime`, `runtime_version` and `provider`, as in `schema.Environment`."""

    def open(self, path: str, *, threads: int = 1, spinning: bool = True) -> Session:
        """Load the artifact. Raises ValueError with the runtime's own words if it can't."""
