"""What a search by a table chooses: the width of every channel group and whether every block stays, with the terms of
time between them.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edgekd.pruning.space import ChannelGroup, Layer
from edgekd.search._programme import Choice, Term, TooEntangledError, solve
from edgekd.search._table import Table
from edgekd.values import Structure

_MOST_WIDTHS = 12
"""Of a group: more would cost time and save little."""
_SAVED = 0.001
"""Of the whole network's latency, what a narrower width saves at least."""
_MOST_TIMES = 10_000
"""Combinations of widths of which a term can hold the times."""
_ROUNDS, _CORRECTION = 8, 1.25
"""Of solving with times that are linear around the last solution, and the most that the limit is corrected by then."""

_ROUNDED = 1.005
"""Times are rounded to parts of the limit, so that their sum may exceed it by as much."""

STAYS, GOES = 0, 1
"""Options of a block."""

IMPOSSIBLE = 1e9
"""The loss of an option that can't be."""

Losses = Mapping[str, Sequence[float]]
"""Of each option of each choice, by the choice's name: a group's root, or a block's name."""


@dataclass(frozen=True)
class Choices:
    """The choices of a network, with the times of one variant."""

    table: Table
    widths: Mapping[str, tuple[int, ...]]
    """The widths that each group can take, by its root, rising."""
    blocks: tuple[str, ...]
    """Those that can go."""

    def structure(self, options: Mapping[str, int]) -> Structure:
        """The structure of one option of each choice."""
        removed = tuple(block for block in self.blocks if options[block] == GOES)
        gone = tuple(f"{block}." for block in removed)
        widths = {
            group.root: self.widths[group.root][options[group.root]]
            for group in self.table.space.groups
            if not (gone and group.root.startswith(gone))
        }
        own = {group.root: group.width for group in self.table.space.groups}
        return Structure(widths={r: w for r, w in widths.items() if w < own[r]}, removed=removed)

    def options(self, structure: Structure) -> dict[str, int]:
        """The options that come nearest to a structure; of what its blocks took with them the width of what takes its
        place, without which a block couldn't be gone, or else the widest.
        """
        whole = {group.root: group.width for group in self.table.space.groups}
        seen = self.table.widths(structure)
        wanted = {root: seen[root] or whole[root] for root in self.widths}
        found = {root: int(np.abs(np.array(own) - wanted[root]).argmin()) for root, own in self.widths.items()}
        return found | {block: GOES if block in structure.removed else STAYS for block in self.blocks}

    def count(self, name: str) -> int:
        """How many options a choice has."""
        return len(self.widths[name]) if name in self.widths else 2

    def best(self, losses: Losses, limit: float) -> Structure | None:
        """The structure of the least loss that is predicted to take no more; None if none is."""
        try:
            room = limit - self._fixed
            found = solve(self._choices(losses), self._terms, room) if room > 0 else None
        except TooEntangledError:
            return self._by_linear_times(losses, limit)
        return self.structure(found) if found else None

    @property
    def smallest(self) -> Structure:
        """Every group at its least width, and every block gone that can go then."""
        return self.structure(self._smallest)

    @property
    def _smallest(self) -> dict[str, int]:
        widths = {root: own[0] for root, own in self.widths.items()}
        gone = {block: GOES if self._can_go(block, widths) else STAYS for block in self.blocks}
        return {**dict.fromkeys(self.widths, 0), **gone}

    def _can_go(self, block: str, widths: Mapping[str, int]) -> bool:
        ends = self.table.ends[block]
        return block in self._growing or (ends is not None and widths[ends[0]] == widths[ends[1]])

    def _choices(self, losses: Losses) -> list[Choice]:
        return [Choice(name, tuple(losses[name])) for name in self._order]

    @cached_property
    def _order(self) -> tuple[str, ...]:
        """The choices as the layers first use them."""
        used = itertools.chain.from_iterable(map(self._of, self.table.space.layers))
        return tuple(dict.fromkeys([*used, *self.widths, *self.blocks]))

    def _of(self, layer: Layer) -> tuple[str, ...]:
        """The choices that a layer's time depends on."""
        within = [block for block in self.blocks if layer.name.startswith(f"{block}.")]
        roots = (*layer.inputs_of, *layer.outputs_of)
        sources = [block for block in self._growing for root in roots if root.startswith(f"{block}.")]
        return tuple(dict.fromkeys([*within, *sources, *roots]))

    @cached_property
    def _growing(self) -> tuple[str, ...]:
        return tuple(block.name for block in self.table.space.blocks if block.grows and block.name in self.blocks)

    @cached_property
    def _fixed(self) -> float:
        free = [layer for layer in self.table.space.layers if not self._of(layer)]
        return sum(self.table.layer_latency(each, each.inputs, each.outputs) for each in free)

    @cached_property
    def _terms(self) -> list[Term]:
        """The times of all layers; raises TooEntangledError where one depends on too many choices."""
        of = {layer.name: self._of(layer) for layer in self.table.space.layers}
        if odd := [name for name, names in of.items() if math.prod(map(self.count, names)) > _MOST_TIMES]:
            raise TooEntangledError(f"{odd[0]} depends on {len(of[odd[0]])} choices")
        terms = [self._term(layer, of[layer.name]) for layer in self.table.space.layers if of[layer.name]]
        return [*terms, *self._equal_widths()]

    def _term(self, layer: Layer, of: tuple[str, ...]) -> Term:
        times = np.empty([self.count(name) for name in of])
        for options in np.ndindex(*times.shape):
            times[options] = self._layer_latency(layer, dict(zip(of, options, strict=True)))
        return Term(of, times)

    def _layer_latency(self, layer: Layer, options: Mapping[str, int]) -> float:
        """A layer's time by the options of its choices."""
        gone = [block for block in self.blocks if options.get(block) == GOES]
        if any(layer.name.startswith(f"{block}.") for block in gone):
            return 0.0
        widths = {root: self.widths[root][option] for root, option in options.items() if root in self.widths}
        for block in gone:  # what it added is gone
            widths.update({root: 0 for root in widths if root.startswith(f"{block}.")})
        return self.table.layer_latency(layer, *self.table.space.widths_of(layer, widths))

    def _equal_widths(self) -> Iterator[Term]:
        """A block whose input takes the place of its output can go only where both have the same width."""
        for block in self.blocks:
            ends = self.table.ends[block]
            if ends and ends[0] != ends[1] and block not in self._growing:
                before, behind = (np.array(self.widths[root]) for root in ends)
                times = np.zeros((len(before), len(behind), 2))
                times[..., GOES] = np.where(before[:, None] == behind[None, :], 0.0, np.inf)
                yield Term((*ends, block), times)

    def _by_linear_times(self, losses: Losses, limit: float) -> Structure | None:
        """As `best`, where the time of a layer depends on too many choices: each choice's time is taken with all others
        as they are in the last solution, and the limit is corrected by what that gets wrong, some times.
        """
        options = {name: self.count(name) - 1 if name in self.widths else STAYS for name in self._order}
        best: tuple[float, Structure] | None = None
        aim = limit
        for _ in range(_ROUNDS):
            options = self._around(options, losses, aim) or self._smallest
            structure = self.structure(options)
            taken, loss = self.table.latency(structure), sum(losses[name][option] for name, option in options.items())
            if taken <= _ROUNDED * limit and (best is None or loss < best[0]):
                best = loss, structure
            aim *= min(_CORRECTION, max(1 / _CORRECTION, limit / taken))
        return best[1] if best else None

    def _around(self, options: Mapping[str, int], losses: Losses, limit: float) -> dict[str, int] | None:
        """As `best`, with times that are linear around these options."""
        base = self.table.latency(self.structure(options))
        terms = [self._linear(name, options, base) for name in self._order]
        lowest = [float(term.times.min()) for term in terms]
        shifted = [Term(term.of, term.times - low) for term, low in zip(terms, lowest, strict=True)]
        room = limit - base - sum(lowest)
        return solve(self._choices(losses), [*shifted, *self._equal_widths()], room) if room > 0 else None

    def _linear(self, name: str, options: Mapping[str, int], base: float) -> Term:
        times = [
            self.table.latency(self.structure({**options, name: option})) - base for option in range(self.count(name))
        ]
        return Term((name,), np.array(times))


def choices_of(table: Table) -> Choices:
    """The choices of a network: for each group the widths whose time differs from the next smaller one's, a dozen at
    most, and the blocks that can go.
    """
    removable = [block for block in table.space.blocks if block.can_go]
    blocks = tuple(block.name for block in removable if block.grows or table.ends[block.name])
    return Choices(table, {group.root: _widths(table, group) for group in table.space.groups}, blocks)


def _widths(table: Table, group: ChannelGroup) -> tuple[int, ...]:
    """The widest of those that take equally long; of too many, some at even distances."""
    useful, least = [group.width], table.latency(Structure())
    for width in reversed(group.allowed[:-1]):
        latency = table.latency(Structure(widths={group.root: width}))
        if latency < (1 - _SAVED) * least:
            useful.insert(0, width)
            least = latency
    if len(useful) <= _MOST_WIDTHS:
        return tuple(useful)
    at = np.linspace(0, len(useful) - 1, _MOST_WIDTHS).round().astype(int)
    return tuple(useful[i] for i in at)
