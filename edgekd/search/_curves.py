"""What each choice of a search by a table costs in accuracy: the loss of every width of a group, and of each block.

The network loses some with half of a group's channels, far more with an eighth. So each group is tried at a few widths,
each block is left out once, and the whole network's loss is taken after a repair without training; between the widths
that were tried it is linear.
"""

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from edgekd.pruning.space import ChannelGroup, Space
from edgekd.search._base import Candidates
from edgekd.search._choices import GOES, IMPOSSIBLE, Choices
from edgekd.values import Structure

_SHARES = (0.5, 0.25, 0.0)
"""Of a group's channels, those that stay where it is tried; 0: as few as it can have."""
_LEAST = 0.02
"""Of the median rise of the loss: what a choice costs at least, since few images can't tell that it costs nothing."""


def curves(choices: Choices, candidates: Candidates) -> dict[str, tuple[float, ...]] | None:
    """The rise of the loss with each option of each choice; None if the unpruned network's own isn't finite."""
    groups = choices.table.space.groups
    narrowed = [(group.root, width) for group in groups for width in _tried(group)]
    tried = {
        **{(root, width): Structure(widths={root: width}) for root, width in narrowed},
        **{(block, 0): Structure(removed=(block,)) for block in choices.blocks},
    }
    base, *found = candidates.losses([Structure(), *tried.values()])
    if base is None:
        return None
    rises = {what: IMPOSSIBLE if loss is None else loss - base for what, loss in zip(tried, found, strict=True)}
    least = _LEAST * median([rise for rise in rises.values() if 0 < rise < IMPOSSIBLE] or [1.0])
    losses: dict[str, tuple[float, ...]] = {block: (0.0, max(least, rises[block, 0])) for block in choices.blocks}
    for group in groups:
        known = {width: rises[group.root, width] for width in _tried(group)}
        losses[group.root] = _between(known, group.width, choices.widths[group.root], least)
    return losses


def single_choices(space: Space) -> int:
    """How many structures `curves` tries."""
    return 1 + sum(len(_tried(group)) for group in space.groups) + len(space.removable)


def _tried(group: ChannelGroup) -> tuple[int, ...]:
    """The widths at which a group is tried, falling."""
    narrower = group.allowed[:-1]
    wanted = (share * group.width for share in _SHARES)
    return tuple(dict.fromkeys(min(narrower, key=lambda width: abs(width - one)) for one in wanted)) if narrower else ()


def _between(known: Mapping[int, float], full: int, widths: Sequence[int], least: float) -> tuple[float, ...]:
    """The rise at each of the widths. A narrower group is never taken to cost less than a wider one: that is noise."""
    at, rises = [full], [0.0]
    for width in sorted(known, reverse=True):
        at.append(width)
        rises.append(max(known[width], rises[-1] + least * (at[-2] - width) / full))
    return tuple(float(one) for one in np.interp(widths, at[::-1], rises[::-1]))


def total(losses: Mapping[str, Sequence[float]], choices: Choices, structure: Structure) -> float:
    """The predicted rise of the loss with a structure."""
    rise = sum(losses[block][GOES] for block in structure.removed)
    for root, width in structure.widths.items():
        rise += losses[root][choices.widths[root].index(width)]
    return rise
