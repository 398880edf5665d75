"""What a step of a recipe is: a module in `edgekd/steps/`, whose file name is what `do` states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edgekd.catalog import Kind
from edgekd.values import Recovery, Value

if TYPE_CHECKING:  # a recipe can be read without PyTorch
    from edgekd.steps._task import State, Task


class Step(Protocol):
    """The members of a step's module."""

    PRUNES: bool
    """Whether it makes the network smaller: how much is then searched, unless the recipe states it."""

    @property
    def Settings(self) -> type[Value]:
        """What a recipe may state beside `do`; all of it has defaults."""

    def training(self, settings: Any, recover: Recovery, /) -> Recovery | None:
        """How the step trains, given the recipe's [recover]; None where it trains nothing."""

    def misplaced(self, settings: Any, before: "Sequence[Stated]", after: "Sequence[Stated]", /) -> str | None:
        """Why the step can't stand between these others; None where it can."""

    def run(self, settings: Any, state: "State", task: "Task", /) -> "State":
        """Take the step.

        Args:
            settings: a `Settings`.
            state: what the steps before it made.
            task: what all steps of the recipe work on.

        Raises:
            EdgekdError: this network can't take the step.
        """


STEPS = Kind[Step]("steps", "step")


@dataclass(frozen=True)
class Stated:
    """A step that a recipe states, its settings checked."""

    do: str
    module: Step
    settings: Any
