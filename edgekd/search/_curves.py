"""What each choice of a search by a table costs in accuracy: the loss of every width of a group, and of each block.

The criterion's scores say how the loss rises as channels go; what the network loses with half of the group's channels,
repaired without training, says how much that is, so that groups and blocks compare.
"""

from collections.abc import Mapping, Sequence
from statistics import median

from edgekd.pruning.space import ChannelGroup
from edgekd.search._base import Candidates
from edgekd.search._choices import GOES, Choices
from edgekd.values import Structure

_LEAST = 0.02
"""Of the median rise of the loss: what a choice costs at least, since few images can't tell that it costs nothing."""
_TINY = 1e-12
_IMPOSSIBLE = 1e9
"""The loss of what can't be pruned so."""


def curves(choices: Choices, candidates: Candidates) -> dict[str, tuple[float, ...]] | None:
    """The rise of the loss with each option of each choice; None if the unpruned network's own isn't finite."""
    groups = {group.root: group for group in choices.table.space.groups}
    halves = {root: _half(group) for root, group in groups.items() if len(group.allowed) > 1}
    tried = {
        **{root: Structure(widths={root: width}) for root, width in halves.items()},
        **{block: Structure(removed=(block,)) for block in choices.blocks},
    }
    base, *found = candidates.losses([Structure(), *tried.values()])
    if base is None:
        return None
    rises = {name: _rise(loss, base) for name, loss in zip(tried, found, strict=True)}
    least = _LEAST * median([rise for rise in rises.values() if 0 < rise < _IMPOSSIBLE] or [1.0])
    scores = candidates.scores().channels
    losses: dict[str, tuple[float, ...]] = {block: (0.0, max(least, rises[block])) for block in choices.blocks}
    for root, widths in choices.widths.items():
        shape = [_removed(groups[root], scores[root], width) for width in widths]
        at_half = max(_TINY, _removed(groups[root], scores[root], halves[root])) if root in halves else 1.0
        rise = max(least, rises.get(root, 0.0))
        losses[root] = tuple(rise * value / at_half for value in shape)
    return losses


def _half(group: ChannelGroup) -> int:
    """The width nearest to half of the group's, whatever the variant."""
    return min(group.allowed[:-1], key=lambda width: abs(width - group.width / 2))


def _rise(loss: float | None, base: float) -> float:
    return _IMPOSSIBLE if loss is None else loss - base


def _removed(group: ChannelGroup, scores: Sequence[float], width: int) -> float:
    """The sum of the scores of the channels that go, the least important; a little more for each of them, so that
    channels without a score aren't free.
    """
    length = group.width // group.parts
    in_part = sorted(sum(scores[i::length]) for i in range(length))
    gone = length - width // group.parts
    mean = sum(in_part) / length or 1.0
    return sum(in_part[:gone]) + _LEAST * mean * gone


def total(losses: Mapping[str, Sequence[float]], choices: Choices, structure: Structure) -> float:
    """The predicted rise of the loss with a structure."""
    rise = sum(losses[block][GOES] for block in structure.removed)
    for root, width in structure.widths.items():
        rise += losses[root][choices.widths[root].index(width)]
    return rise
