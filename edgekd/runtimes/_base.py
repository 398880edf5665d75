"""What a runtime module provides.

A runtime module is also copied to devices and loaded there by path, beside the agent: it imports the standard
library, numpy and its own runtime, and nothing of edgekd at run time.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict

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


class Setting(TypedDict):
    """One setting of a runtime: what a variant's `settings` may hold under its name."""

    kind: Literal["count", "switch", "text", "options"]
    """A whole number from 1, true or false, text, or a table of texts that the runtime hands on."""
    default: Any
    """None where the runtime decides."""
    help: str
    """What it sets, in a few words."""


class Runtime(Protocol):
    """The members of a runtime module."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files it opens, without the dot."""

    @property
    def SETTINGS(self) -> Mapping[str, Setting]:
        """What `open` takes beside the path. `threads`, where a runtime has it, is how many CPU threads it uses;
        `precision` is the variant's, for a runtime that runs the same file in one or another: no user states it.
        """

    @property
    def builds(self) -> bool:
        """Whether it opens engines, which it builds from artifacts on the device.

        Then it also has `build(path, engine, shapes, **settings)`, which writes the engine to the path `engine` and
        returns how it was built, in words. `shapes` takes what `Session.inputs` gives and returns the shape of each
        input by name, for those that leave axes open. It raises ValueError in plain words if it can't.
        """

    def describe(self) -> dict[str, str]:
        """The fields of `devices.agent.protocol.Runtime`."""

    # to mypy `*_: Any, **settings: Any` are any parameters: each runtime names its own, and gives them their defaults
    def open(self, path: str, *_: Any, **settings: Any) -> Session:
        """Load the artifact with the given settings, each a keyword of its own; `trace_in: str | None = None` is
        another one, a folder to trace into, for `Session.nodes`.

        Raises:
            ValueError: it can't; the text is plain words.
        """


RUNTIMES = Kind[Runtime]("runtimes", "runtime", packages=True)
