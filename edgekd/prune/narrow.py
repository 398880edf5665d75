"""Narrowing by one ratio in every group of channels, to widths that the runtime's kernels like.

Kernels work through channels in blocks, so that a width in between costs as much as the next multiple, or more:
free widths can make a smaller network slower.
"""

import copy
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgekd.prune._base import Student
from edgekd.prune.graph import Graph, Group

Scores = Callable[[Group], Tensor]
"""The importance of each channel of a group, (width,); the least important go."""


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


def levels(
    model: nn.Module, example: Tensor, *, block: int, step: float = 0.05, most: float = 0.9
) -> tuple[float, ...]:
    """The ratios on a grid of `step` up to `most` that give different widths, rising from 0.0.

    The model stays as it is; the widths follow from the groups alone, so nothing is pruned.
    """
    groups = Graph(copy.deepcopy(model).eval(), example).groups
    ratios: dict[tuple[int, ...], float] = {}
    for i in range(round(most / step) + 1):
        ratio = round(i * step, 6)
        ratios.setdefault(tuple(_kept_width(group, ratio, block) for group in groups), ratio)
    return tuple(ratios.values())


def narrow(model: nn.Module, example: Tensor, *, ratio: float, block: int, scores: Scores) -> Student:
    """A copy of the model with `ratio` of each group's channels gone, those with the lowest scores.

    Args:
        model: any network that `Graph` can trace.
        example: one input (1, C, H, W).
        ratio: in [0, 1); 0 gives an equal copy without tracing.
        block: what widths are multiples of, see `aligned`.
        scores: judges the channels of each group, in the unpruned network.
    """
    student = copy.deepcopy(model).eval()
    if ratio == 0:
        return Student(student, {})
    graph = Graph(student, example)
    # all are scored before any is cut: cutting one group shortens the weights that score the next
    kept = {group.root: _most_important(scores(group), group, ratio, block) for group in graph.groups}
    narrowed = {group.root: kept[group.root] for group in graph.groups if len(kept[group.root]) < group.width}
    for root, channels in narrowed.items():
        graph.keep(root, channels)
    return Student(student, narrowed)


def _kept_width(group: Group, ratio: float, block: int) -> int:
    return aligned(group.width, ratio, block=block, parts=group.parts)


def _most_important(scores: Tensor, group: Group, ratio: float, block: int) -> tuple[int, ...]:
    """The channels that stay, rising; in each part of the group the same positions."""
    each = _kept_width(group, ratio, block) // group.parts
    in_part = scores.view(group.parts, -1).mean(dim=0)  # (width / parts,)
    positions = torch.argsort(in_part, descending=True, stable=True)[:each].sort().values.tolist()
    length = group.width // group.parts
    return tuple(part * length + position for part in range(group.parts) for position in positions)
