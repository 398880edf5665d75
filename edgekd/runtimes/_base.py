"""The interface of a runtime module.

A runtime module is also pushed to devices and loaded there by path by the agent: it imports only the standard library,
numpy and its own runtime, and nothing from edgekd at run time.
"""

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypedDict

from edgekd.catalog import Kind


class Session(Protocol):
    """An opened artifact.

    One that runs on an accelerator with memory of its own also has `place(feeds)`, which copies inputs there;
    `compute()`, one inference on them that leaves its outputs there; and `accelerator_ms()`, what the accelerator took
    for the last inference by its own clock, without copies.
    """

    provider: str
    """The runtime's execution provider, such as "CPUExecutionProvider"."""

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with strings or None for dynamic axes) and numpy dtype name of each input."""

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are available."""

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """For a session opened with `trace_in`: the fields of `values.Node` of every node of the executed graph. Times
        exclude the first `cold` inferences. Ends the trace.

        A runtime whose nodes aren't named after ONNX operators also reports `kind` and `precision`.
        """


class Setting(TypedDict):
    """One runtime setting, which a variant's `settings` may contain."""

    kind: Literal["count", "index", "switch", "text", "options"]
    """An integer from 1, one from 0, a boolean, a string, or a table of strings that is passed to the runtime."""
    default: Any
    """None if the runtime decides."""
    help: str
    """A short description."""


class Reads(TypedDict):
    """What the versions of a runtime read, from one on up to the next that is listed."""

    since: tuple[int, int]
    """The first of them: major and minor."""
    opset: int | None
    """The highest of ONNX's own operators; None: not known."""
    ir_version: int | None
    """The highest; None: not known, or it doesn't matter to the runtime."""


class Runtime(Protocol):
    """The members of a runtime module.

    One of which it is known has two more, by which a file is checked before it is sent to a device: `READS`, a sequence
    of `Reads` by version, the last of which is of versions that are too new to be known; and `OPERATORS`, a mapping
    from operators, as in `values.Needs`, that it got later than their opset, or than the first version of `READS`,
    to the first version that runs them on its default provider; None: none does. One whose traces have times of whole
    ticks has `CLOCK_US`, the microseconds of a tick.
    """

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of files that it opens, as `values.Artifact.format`."""

    @property
    def SETTINGS(self) -> Mapping[str, Setting]:
        """The keyword arguments of `open`. `threads`, if present, is the number of CPU threads. `precision`, if
        present, comes from the variant, for runtimes that run one file in several precisions; users can't set it.
        """

    @property
    def builds(self) -> bool:
        """Whether it runs engines that it builds from artifacts on the device.

        If so, it also has `build(path, engine, shapes, **settings)`, which writes the engine to the path `engine` and
        returns a description of the build. `shapes` takes the result of `Session.inputs` and returns the shape of each
        input by name, for inputs with dynamic axes. It raises ValueError with a clear message if the build fails.
        """

    def describe(self) -> dict[str, str]:
        """The fields of `devices.agent.protocol.Runtime`.

        A runtime that takes long to find out all of them has `capabilities()` for the others, which is called when a
        device is surveyed, and never in a process that measures.
        """

    # mypy accepts any parameters for `*_: Any, **settings: Any`: each runtime declares its own, with defaults
    def open(self, path: str, *_: Any, **settings: Any) -> Session:
        """Load the artifact with the given settings as keyword arguments. A further keyword argument is
        `trace_in: str | None = None`, a folder for the trace that `Session.nodes` reads.

        Raises:
            ValueError: the artifact can't be loaded; the text is a clear message.
        """


RUNTIMES = Kind[Runtime]("runtimes", "runtime", packages=True)
