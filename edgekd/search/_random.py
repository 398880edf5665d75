"""Random structures, from whose times a table is learned."""

import random
from collections.abc import Iterator

from edgekd.pruning.space import Space
from edgekd.search._table import ends_of
from edgekd.values import Structure

_SPREAD = 0.35
"""How far the widths of one network are from its mean: wide and narrow layers in all combinations, and yet networks of
all sizes.
"""
_GOING = (0.0, 0.0, 0.15, 0.3)
"""The shares of blocks that go, network by network."""


def structures(space: Space, count: int, seed: int = 0) -> tuple[Structure, ...]:
    """So many different structures, the unpruned one first; fewer where there aren't so many."""
    found = dict.fromkeys([Structure().model_dump_json()])
    for structure in _some(space, 10 * count, random.Random(seed)):
        if len(found) == count:
            break
        found[structure.model_dump_json()] = None
    return tuple(Structure.model_validate_json(each) for each in found)


def _some(space: Space, tries: int, drawn: random.Random) -> Iterator[Structure]:
    ends = {block.name: ends_of(space, block.name) for block in space.blocks}
    allowed = {group.root: group.allowed for group in space.groups}
    grows = {block.name: block.grows for block in space.blocks}
    for number in range(tries):
        mean = drawn.uniform(0.15, 1.0)
        widths = {}
        for group in space.groups:
            wanted = group.width * (mean + drawn.uniform(-_SPREAD, _SPREAD))
            widths[group.root] = min(group.allowed, key=lambda width: abs(width - wanted))
        removed = []
        for name in space.removable:
            if drawn.random() >= _GOING[number % len(_GOING)]:
                continue
            two = ends[name]
            if not grows[name] and two and widths[two[0]] in allowed[two[1]]:
                widths[two[1]] = widths[two[0]]  # what comes in takes the place of what it gives
            if grows[name] or (two and widths[two[0]] == widths[two[1]]):
                removed.append(name)
        gone = tuple(f"{name}." for name in removed)
        own = {group.root: group.width for group in space.groups}
        narrower = {r: w for r, w in widths.items() if w < own[r] and not (gone and r.startswith(gone))}
        yield Structure(widths=narrower, removed=tuple(removed))
