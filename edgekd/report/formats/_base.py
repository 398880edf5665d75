"""What a report format is: a module of this package. A run's report is written in every format."""

from dataclasses import dataclass
from typing import Protocol

from edgekd.catalog import Kind
from edgekd.values import Measurement
from edgekd.values.result import Result


@dataclass(frozen=True)
class Report:
    """What a report is about."""

    result: Result
    reference: Measurement | None = None
    """Of the reference, in the run's last session; None where nothing was measured."""
    judged: tuple[Measurement, ...] = ()
    """What the verdict was reached on: the measurement of the kept artifact, then that of the reference, if any."""


class Format(Protocol):
    """The members of a format's module."""

    @property
    def SUFFIX(self) -> str:
        """Of the report's file, without the dot."""

    def text(self, report: Report, /) -> str:
        """The whole report; every number in it is in the run's JSON documents too."""


FORMATS = Kind[Format]("report.formats", "report format")
