"""How many channels each group keeps, and which: one ratio in every group, or the least important of all groups go.

Kernels work through channels in blocks, so that a width in between costs as much as the next multiple, or more:
free widths can make a smaller network slower.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from edgekd.pruning.graph import Group

SCOPES = ("layer", "global")


def aligned(width: int, ratio: float, *, block: int, parts: int = 1) -> int:
    """How many of `width` channels stay when `ratio` of them should go.

    The multiple of `block` nearest to (1 - ratio) x width, at least one block and at most the width itself; widths
    not above a block stay. With `parts` > 1 it is a multiple of `parts` too.
    """
    unit = math.lcm(block, parts)
    if ratio == 0 or width <= unit:
        return width
    # half up, where round() would go to the even neighbour
    nearest = math.floor((1 - ratio) * width / unit + 0.5) * unit
    return min(width, max(unit, nearest))


def widths_by_layer(groups: Sequence[Group], originals: Sequence[int], ratio: float, *, block: int) -> tuple[int, ...]:
    """The same ratio of each group's original width, and never more than it has."""
    return tuple(
        min(group.width, aligned(original, ratio, block=block, parts=group.parts))
        for group, original in zip(groups, originals, strict=True)
    )


def widths_across_layers(
    groups: Sequence[Group], originals: Sequence[int], scores: Sequence[Tensor], ratio: float, *, block: int
) -> tuple[int, ...]:
    """Widths with `ratio` of all original channels gone, block by block, those with the least mean score first.

    A score counts by what it is to the mean of its group: else layers whose channels have fewer weights would go first
    (edgekd's choice). Every group keeps at least one block; widths not above a block stay.

    Args:
        groups: of the network as it is.
        originals: the groups' widths before anything was pruned.
        scores: of the channels of each group, (width,), at least 0.
        ratio: in [0, 1).
        block: what widths are multiples of.
    """
    widths = [group.width for group in groups]
    to_go = ratio * sum(originals) - (sum(originals) - sum(widths))
    found = zip(groups, scores, strict=True)
    for _, index, _, size in sorted(cut for i, (group, own) in enumerate(found) for cut in _cuts(i, group, own, block)):
        if size >= 2 * to_go:  # nearer without it
            break
        widths[index] -= size
        to_go -= size
    return tuple(widths)


def most_important(scores: Tensor, group: Group, width: int) -> tuple[int, ...]:
    """The `width` channels that stay, rising; in each part of the group the same positions."""
    in_part = _in_part(scores, group)
    positions = torch.argsort(in_part, descending=True, stable=True)[: width // group.parts].sort().values.tolist()
    length = group.width // group.parts
    return tuple(part * length + position for part in range(group.parts) for position in positions)


def _in_part(scores: Tensor, group: Group) -> Tensor:
    return scores.view(group.parts, -1).mean(dim=0)  # (width / parts,)


def _cuts(index: int, group: Group, scores: Tensor, block: int) -> list[tuple[float, int, int, int]]:
    """The steps that narrow the group block by block: mean score, the group's index, the step's number, channels."""
    unit = math.lcm(block, group.parts)
    in_part = _in_part(scores, group)
    weakest = (in_part / in_part.mean().clamp_min(torch.finfo(in_part.dtype).tiny)).sort().values.tolist()
    cuts: list[tuple[float, int, int, int]] = []
    width = group.width
    while width > unit:
        size = width - (width - 1) // unit * unit
        chunk, weakest = weakest[: size // group.parts], weakest[size // group.parts :]
        mean = sum(chunk) / len(chunk)
        # never below the step before it, not even by rounding: they are taken in order
        cuts.append((max(mean, cuts[-1][0]) if cuts else mean, index, len(cuts), size))
        width -= size
    return cuts
