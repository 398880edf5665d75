"""The dynamic programme behind a search by a table: of every choice one option, so that their losses add up to the
least and their times to no more than a limit. It is exact but for the resolution of time.

Choices are taken one after the other. For the options of those that later times still depend on, and for every amount
of time spent, the least loss is kept; a choice that no time depends on any more is decided at once. A chain of layers
keeps two choices open; of a residual stage, its shared width and the widths within one block.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STEPS = 1000
"""Into which the limit is divided."""
_MOST_CELLS = 50_000_000
"""Of what is kept at once: 400 MB."""


@dataclass(frozen=True)
class Choice:
    """One of several options, such as the widths of a group of channels.

    Args:
        name: unlike others'.
        losses: of each option.
    """

    name: str
    losses: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Term:
    """What takes time, such as a layer: how much depends on some choices.

    Args:
        of: the choices' names.
        times: an axis for each of them, as long as its options; at least 0.
    """

    of: tuple[str, ...]
    times: np.ndarray


class TooEntangledError(Exception):
    """More choices depend on each other than can be kept open at once."""


def solve(choices: Sequence[Choice], terms: Sequence[Term], limit: float, steps: int = STEPS) -> dict[str, int] | None:
    """The options with the least loss whose times are within the limit, by the choice's name; None: there are none.

    Times are rounded to limit / steps each, and a sum of them may exceed the limit by what that amounts to. Options
    of infinite loss are left out at once, so that a choice that has only one left costs no time.

    Args:
        choices: in an order in which those that a term has in common are near to each other.
        terms: of these choices.
        limit: of the sum.
        steps: the resolution.

    Raises:
        TooEntangledError: too many choices depend on each other.
    """
    open_options = {each.name: [i for i, loss in enumerate(each.losses) if loss < math.inf] for each in choices}
    if not all(open_options.values()):
        return None
    choices = [Choice(each.name, tuple(each.losses[i] for i in open_options[each.name])) for each in choices]
    terms = [Term(each.of, each.times[np.ix_(*(open_options[name] for name in each.of))]) for each in terms]
    found = _solved(choices, terms, limit, steps)
    return found and {name: open_options[name][option] for name, option in found.items()}


def _solved(choices: Sequence[Choice], terms: Sequence[Term], limit: float, steps: int) -> dict[str, int] | None:
    _require_room(choices, terms, steps)
    programme = _Programme({choice.name: choice for choice in choices}, steps)
    # what takes more than the limit is the same, be it infinite
    left = [(t.of, np.rint(np.minimum(t.times * steps / limit, steps + 1)).astype(np.int64)) for t in terms]
    for choice in choices:
        programme.open(choice.name)
        ready = [(of, cost) for of, cost in left if set(of) <= programme.opened]
        left = [(of, cost) for of, cost in left if not set(of) <= programme.opened]
        for of, cost in ready:
            programme.spend(of, cost)
        for name in [name for name in programme.axes if not any(name in of for of, _ in left)]:
            programme.close(name)
    return programme.best()


def _require_room(choices: Sequence[Choice], terms: Sequence[Term], steps: int) -> None:
    """Raises TooEntangledError if more than can be kept has to be open at once: before any of it is computed."""
    position = {choice.name: number for number, choice in enumerate(choices)}
    last = dict(position)
    for term in terms:  # a choice is open until the last one that it shares a term with
        latest = max((position[name] for name in term.of), default=0)
        last.update({name: max(last[name], latest) for name in term.of})
    for number, choice in enumerate(choices):
        opened = [each for each in choices[: number + 1] if last[each.name] >= number]
        if (steps + 1) * math.prod(len(each.losses) for each in opened) > _MOST_CELLS:
            raise TooEntangledError(f"{choice.name} depends on {', '.join(each.name for each in opened[:-1])} at once")


class _Programme:
    """The least loss by the options of the open choices and the time that is spent."""

    def __init__(self, choices: Mapping[str, Choice], steps: int) -> None:
        self._choices, self._steps = choices, steps
        self.axes: list[str] = []
        self.opened: set[str] = set()
        self._least = np.full(steps + 1, np.inf)
        self._least[0] = 0
        self._done: list[tuple[str, tuple[str, ...], np.ndarray]] = []

    def open(self, name: str) -> None:
        """Every option of a further choice."""
        losses = np.asarray(self._choices[name].losses, float)
        self._least = self._least[..., None, :] + losses[:, None]
        self.axes.append(name)
        self.opened.add(name)

    def spend(self, of: tuple[str, ...], cost: np.ndarray) -> None:
        """The time of a term, all of whose choices were opened."""
        if not set(of) <= set(self.axes):
            raise ValueError(f"{of}: a choice was closed before")
        # the term's axes in the order of all, those of other choices of length 1
        order = sorted(range(len(of)), key=lambda i: self.axes.index(of[i]))
        sizes = [len(self._choices[name].losses) if name in of else 1 for name in self.axes]
        shaped = cost.transpose(order).reshape(sizes)
        later = np.arange(self._steps + 1) - np.broadcast_to(shaped, self._least.shape[:-1])[..., None]
        found = np.take_along_axis(self._least, np.maximum(later, 0), -1)
        self._least = np.where(later < 0, np.inf, found)
        self._done.append(("spend", tuple(self.axes), shaped))

    def close(self, name: str) -> None:
        """Decide a choice for all that is still open."""
        axis = self.axes.index(name)
        best = self._least.argmin(axis)
        self._least = self._least.min(axis)
        self.axes.remove(name)
        self._done.append((name, tuple(self.axes), best.astype(np.int16)))

    def best(self) -> dict[str, int] | None:
        """The decisions that lead to the least loss, which the last choice has closed."""
        spent = int(self._least.argmin())
        if math.isinf(self._least[spent]):
            return None
        found: dict[str, int] = {}
        for what, axes, values in reversed(self._done):
            if what == "spend":
                at = tuple(found[name] if size > 1 else 0 for name, size in zip(axes, values.shape, strict=True))
                spent -= int(values[at])
            else:
                found[what] = int(values[(*(found[name] for name in axes), spent)])
        return {name: found[name] for name in self._choices}
