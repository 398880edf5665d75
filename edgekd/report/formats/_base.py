"""What a report format is: a module of this package. A run's report is written in every format."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edgekd.catalog import Kind
from edgekd.values import Measurement, Target
from edgekd.values.result import Result

if TYPE_CHECKING:
    from edgekd.gate.budget import Budget


@dataclass(frozen=True)
class Report:
    """What a report is about."""

    result: Result
    target: Target
    budget: "Budget"
    reference: Measurement | None
    """Of the reference, in the run's last session; None where nothing was measured."""


class Format(Protocol):
    """The members of a format's module."""

    @property
    def SUFFIX(self) -> str:
        """Of the report's file, without the dot."""

    def text(self, report: Report, /) -> str:
        """The whole report; every number in it is in the run's JSON documents too."""


FORMATS = Kind[Format]("report.formats", "report format")
