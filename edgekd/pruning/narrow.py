"""Narrowing layers: a method gives the score of each channel, and the least important go from all layers that share
them.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial

from torch import Tensor

from edgekd.pruning._base import Student, Subject
from edgekd.pruning.choose import channels_of
from edgekd.pruning.graph import Group, channels_left, outputs_of
from edgekd.pruning.rank import most_important, widths_across_layers, widths_by_layer

Scores = Callable[[Group], Tensor]
"""The importance of each channel of a group, (width,), at least 0; the least important go."""

_STEP, _MOST = 0.05, 0.9


def levels(subject: Subject, scores: Scores | None = None, *, scope: str = "layer") -> tuple[float, ...]:
    """The ratios on a grid of 0.05 up to 0.9 that give different widths, rising from 0.0; nothing is pruned.

    Args:
        subject: the network.
        scores: decide the widths where the scope is "global".
        scope: as `narrow` takes it.
    """
    groups = channels_of(subject.model, copy.deepcopy(subject.model).eval(), subject.example).groups
    scored = [scores(group) for group in groups] if scores and scope == "global" else []
    widths = _widths(subject, groups, scored, scope)
    ratios: dict[tuple[int, ...], float] = {}
    for i in range(round(_MOST / _STEP) + 1):
        ratio = round(i * _STEP, 6)
        ratios.setdefault(widths(ratio), ratio)
    return tuple(ratios.values())


def narrow(subject: Subject, ratio: float, scores: Scores, *, scope: str = "layer") -> Student:
    """A copy of the network with `ratio` of the original's channels gone, those with the lowest scores.

    What was pruned before ends in the widths that pruning the original at once would have given.

    Args:
        subject: any network that `Graph` can trace.
        ratio: in [0, 1); 0 gives an equal copy without tracing.
        scores: judge the channels of each group, in the network as it is.
        scope: "layer" takes the ratio of each group, "global" of all channels together; see `pruning.rank`.
    """
    student = copy.deepcopy(subject.model).eval()
    if ratio == 0:
        return Student(student)
    graph = channels_of(subject.model, student, subject.example)
    # all are scored before any is cut: cutting one group shortens the weights that score the next
    scored = [scores(group) for group in graph.groups]
    widths = _widths(subject, graph.groups, scored, scope)(ratio)
    kept = {
        group.root: most_important(own, group, width)
        for group, own, width in zip(graph.groups, scored, widths, strict=True)
        if width < group.width
    }
    by_layer = channels_left(student, graph.groups, kept)
    for root, channels in kept.items():
        graph.keep(root, channels)
    return Student(student, by_layer)


def _widths(
    subject: Subject, groups: Sequence[Group], scored: Sequence[Tensor], scope: str
) -> Callable[[float], tuple[int, ...]]:
    # a group may be some of its root's channels, or have several of them at each of its places
    originals = [
        round(group.width * outputs_of(subject.original.get_submodule(group.root)) / outputs_of(layer))
        for group in groups
        for layer in [subject.model.get_submodule(group.root)]
    ]
    if scope == "layer":
        return partial(widths_by_layer, groups, originals, block=subject.block)
    return partial(widths_across_layers, groups, originals, scored, block=subject.block)
