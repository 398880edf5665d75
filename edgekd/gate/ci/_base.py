"""What a CI format is: verdicts, written for a CI system or a service.

A format is a module of this package, and `edgekd check` has an option of its name. `HELP` and `OPTION` are literals, so
that `edgekd check --help` can read them without importing the module.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from edgekd.catalog import Kind
from edgekd.gate.judge import Outcome

Option = Literal["file", "switch"]


class Format(Protocol):
    """A module of this package."""

    @property
    def HELP(self) -> str:  # a constant
        """What the option does, in one sentence."""

    @property
    def OPTION(self) -> Option:  # a constant
        """Whether the option takes the path of the file that gets the text, or is a switch and stderr gets it."""

    def text(self, outcomes: Sequence[Outcome], /, *, tolerate: bool) -> str:
        """The verdicts in this format.

        Args:
            outcomes: a verdict and what it was reached on; of several devices one each, or why there is none.
            tolerate: whether the command passes though something isn't decided, or wasn't measured.
        """


FORMATS = Kind[Format]("gate.ci", "CI format")


@runtime_checkable
class Appending(Protocol):
    """A format that also adds to a file that the CI system names."""

    def appended(self, outcomes: Sequence[Outcome], /, *, tolerate: bool) -> tuple[str, str]:
        """The environment variable that names the file, and what is added to it."""


@runtime_checkable
class Announcing(Protocol):
    """A format that also says what went wrong before there was a verdict."""

    def failure(self, message: str, hint: str, /) -> str:
        """The text for stderr."""
