"""The interface of a recipe's step: a module in `edgekd/steps/`, whose file name is the value of `do`."""

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
    """Whether it makes the network smaller; how much is searched unless the recipe states it."""

    @property
    def Settings(self) -> type[Value]:
        """The step's settings besides `do`; all have defaults."""

    def training(self, settings: Any, recover: Recovery, /) -> Recovery | None:
        """The step's training settings, given the recipe's [recover]; None if it doesn't train."""

    def misplaced(self, settings: Any, before: "Sequence[Stated]", after: "Sequence[Stated]", /) -> str | None:
        """Why the step's position between these steps is invalid; None if it is valid."""

    def run(self, settings: Any, state: "State", task: "Task", /) -> "State":
        """Run the step.

        Args:
            settings: an instance of `Settings`.
            state: the result of the previous steps.
            task: the data shared by all steps of the recipe.

        Raises:
            EdgekdError: the step doesn't support this network.
        """


STEPS = Kind[Step]("steps", "step")


@dataclass(frozen=True)
class Stated:
    """A recipe's step with validated settings."""

    do: str
    module: Step
    settings: Any
