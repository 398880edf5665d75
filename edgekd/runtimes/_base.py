"""What a runtime module provides.

A runtime module is also copied to devices and loaded there by path, beside the agent: it imports the standard
library, numpy and its own runtime, and nothing of edgekd at run time.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from edgekd.catalog import Kind


class Session(Protocol):
    """An opened artifact."""

    provider: str
    """What of the runtime runs it, such as "CPUExecutionProvider"."""

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with strings or None for free axes) and numpy dtype name of each input."""

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are there."""

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """Of a session that was opened with `trace_in`: the fields of `values.Node` of every node of the graph as it
        is run, times without those of the first `cold` inferences. Ends the trace.

        A runtime whose nodes are not called as ONNX's operators reports their `kind` and `precision` too.
        """


class Runtime(Protocol):
    """The members of a runtime module."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files it opens, without the dot."""

    def describe(self) -> dict[str, str]:
        """The fields of `devices.agent.protocol.Runtime`."""

    def open(
        self,
        path: str,
        *,
        threads: int = 1,
        spinning: bool = True,
        provider: str | None = None,
        provider_options: Mapping[str, str] | None = None,
        trace_in: str | None = None,
    ) -> Session:
        """Load the artifact, to be traced into a folder if asked. Raises ValueError in plain words if it can't."""


RUNTIMES = Kind[Runtime]("runtimes", "runtime")
