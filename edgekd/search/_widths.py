"""The widths of channel groups: pruned by the same ratio in every group, or by importance over all groups.

Kernels process channels in blocks, so a width that isn't a multiple costs as much as the next multiple, or more:
arbitrary widths can make a smaller network slower.
"""

import math
from collections.abc import Mapping, Sequence

from edgekd.pruning.space import ChannelGroup, Space

_TINY = 1e-37


def aligned(width: int, ratio: float, *, block: int, parts: int = 1) -> int:
    """The number of channels that remain of `width` after pruning a `ratio` of them.

    The multiple of `block` nearest to (1 - ratio) x width, at least one block and at most the width itself; widths
    not above a block stay. With `parts` > 1 it is a multiple of `parts` too.
    """
    unit = math.lcm(block, parts)
    if ratio == 0:
        return width
    # rounds half up; round() would round half to even
    nearest = math.floor((1 - ratio) * width / unit + 0.5) * unit
    return min(width, max(unit, nearest))


def widths_by_layer(space: Space, ratio: float) -> dict[str, int]:
    """New widths after pruning the same ratio in each group, by the group's root; only groups that become narrower."""
    found = {g.root: aligned(g.width, ratio, block=space.channel_block, parts=g.parts) for g in space.groups}
    return {group.root: found[group.root] for group in space.groups if found[group.root] < group.width}


def widths_across_layers(space: Space, scores: Mapping[str, Sequence[float]], ratio: float) -> dict[str, int]:
    """Widths with `ratio` of all channels gone, block by block, those with the least mean score first; by the group's
    root, those that become narrower.

    A score counts by what it is to the mean of its group: else layers whose channels have fewer weights would go first
    (edgekd's choice). Every group keeps at least one block; widths not above a block stay.

    Args:
        space: the network's.
        scores: of the channels of each group, by its root, at least 0.
        ratio: in [0, 1).
    """
    widths = {group.root: group.width for group in space.groups}
    to_go = ratio * sum(widths.values())
    cuts = [cut for i, group in enumerate(space.groups) for cut in _cuts(i, group, scores[group.root])]
    for _, index, _, size in sorted(cuts):
        if size >= 2 * to_go:  # nearer without it
            break
        widths[space.groups[index].root] -= size
        to_go -= size
    return {group.root: widths[group.root] for group in space.groups if widths[group.root] < group.width}


def _cuts(index: int, group: ChannelGroup, scores: Sequence[float]) -> list[tuple[float, int, int, int]]:
    """The steps that narrow the group to each allowed width: mean score, the group's index, the step's number,
    channels.
    """
    length = group.width // group.parts
    in_part = [sum(scores[i::length]) / group.parts for i in range(length)]
    mean_of_all = max(sum(in_part) / length, _TINY)
    weakest = sorted(score / mean_of_all for score in in_part)
    cuts: list[tuple[float, int, int, int]] = []
    width = group.width
    for allowed in reversed(group.allowed[:-1]):
        size = width - allowed
        chunk, weakest = weakest[: size // group.parts], weakest[size // group.parts :]
        mean = sum(chunk) / len(chunk)
        # never below the step before it, not even by rounding: they are taken in order
        cuts.append((max(mean, cuts[-1][0]) if cuts else mean, index, len(cuts), size))
        width = allowed
    return cuts
