"""What a limit is: a table of a budget, what it needs, and how it is judged.

A limit is a module of this package. Its name is that of its table in a budget; `Settings` are the keys of that table.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from edgekd.catalog import Kind
from edgekd.values import LimitVerdict, Measurement, Value

CLOSED_LOOP_HZ = 0.0
"""The cadence of inferences that follow one another without a pause."""


@dataclass(frozen=True)
class Needs:
    """What must be given or measured for a limit to be judged; nothing, by default."""

    baseline: str | None = None
    """The key that is relative to a baseline."""
    paired: bool = False
    """The baseline must take turns with what is judged, and a control with both."""
    given_device: bool = False
    """It limits times or energy themselves, which hold for one given device, and which a drift of its clock spoils."""
    traced: bool = False
    """Each node must be traced."""
    guides_search: bool = False
    """An untrained candidate is measured until this is decided: it changes with the structure and nothing else."""
    trained: bool = False
    """It depends on the trained weights: untrained candidates are not judged by it."""
    engine: str | None = None
    """The key that limits what the device builds from an artifact: a runtime must build something."""
    cadence_hz: float | None = None
    """Inferences a second that it is measured at, `CLOSED_LOOP_HZ` for a closed loop; None if it doesn't matter."""


@dataclass(frozen=True)
class Given:
    """What a limit is judged on."""

    measurement: Measurement
    baseline: Measurement | None
    """Of the same session, where relative limits are to be judged."""
    confidence: float
    """Of each bound. A percentile's are one-sided, a ratio's two together."""


class Limit(Protocol):
    """A module of this package."""

    @property
    def Settings(self) -> type[Value]:  # a class, by its usual name
        """The keys of its table, with their units and ranges."""

    def needs(self, settings: Any, /) -> Needs:
        """What must be given or measured so that these settings can be judged."""

    def judge(self, settings: Any, given: Given, /) -> Iterator[LimitVerdict]:
        """A verdict for each limit that is stated, named TABLE.KEY; `gate.evidence` has what most of them share."""

    def start(self, measurement: Measurement, headroom: float, /) -> Iterator[str]:
        """The lines of TOML, with comments, of the table that the measurement meets with this headroom; none where it
        says nothing about it. They start with an empty line.
        """


LIMITS = Kind[Limit]("gate.limits", "limit")
