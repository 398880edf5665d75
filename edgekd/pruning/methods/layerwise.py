"""Whole blocks go: the network gets shallower, and every layer that is left keeps its width.

`ratio` is blocks gone / all blocks (see `pruning.blocks`), those that can't go included. Options:

`order`: which go first.
- "position": edgekd's choice: the last block of the longest stage, and of the later one if two are as long, so that
  all get shorter before one vanishes. A stage is blocks in a row with maps of one size; one that can't go begins it.
- "influence": those that change least what they get, on training images (`pruning.influence`; Men et al., "ShortGPT",
  arXiv 2403.03853).
- "latency": those without which the network gets most milliseconds faster, as measured on the device.

`remove`: the blocks themselves, by their names, such as "blocks.7 blocks.8 blocks.9 blocks.10", which are four of
the five blocks of 512 channels in mobilenet_v1. Hong et al. (IEEE Access 10, 2022) compress MobileNetV1 layerwise by
32.42 %; which blocks they take isn't known. These four hold 32.49 % of the parameters for 100 classes and 3 channels.
"""

import copy
import itertools
import math
from collections.abc import Mapping, Sequence

from edgekd import catalog
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Option, Student, Subject
from edgekd.pruning.blocks import Block, blocks, without
from edgekd.pruning.influence import influences
from edgekd.pruning.options import choice

OPTIONS: Mapping[str, Option] = {"order": "position", "remove": ""}
CHOICES = {"order": ("position", "influence", "latency")}
NEEDS_IMAGES = True


def levels(subject: Subject) -> tuple[float, ...]:
    """0.0 and the ratios of one block more each, or of the blocks that are named."""
    found = blocks(subject)
    return _levels(found, _named(subject, found))


def prune(subject: Subject, ratio: float) -> Student:
    """The network without as many blocks as are nearest to `ratio`, those that were gone before counted.

    Raises:
        UnsupportedModelError: so many can't go, or none would.
        EdgekdError: an option doesn't do, or there are no images or measurements for the order.
    """
    if ratio == 0:
        return Student(copy.deepcopy(subject.model).eval())
    found = blocks(subject)
    named = _named(subject, found)
    # half up, where round() would go to the even neighbour
    count = math.floor(ratio * len(found) + 0.5)
    possible = _levels(found, named)[1:]
    if not found or count / len(found) not in possible:
        raise _impossible(ratio, count, found, possible)
    order = named or _ordered(subject, found)
    removed = order[: count - _gone(found)]
    return Student(without(subject.model, subject.example, removed), removed=removed)


def by_position(found: Sequence[Block]) -> tuple[str, ...]:
    """The blocks that can go, in the order "position"."""
    begun = itertools.accumulate(not (block.can_go or block.is_gone) for block in found)
    by_stage = itertools.groupby(zip(begun, found, strict=True), key=lambda pair: (pair[0], pair[1].size))
    stages = [[block for _, block in stage if not block.is_gone] for _, stage in by_stage]
    order: list[str] = []
    while shrinkable := [stage for stage in reversed(stages) if stage and stage[-1].can_go]:
        order.append(max(shrinkable, key=len).pop().name)  # of the longest, max gives the first
    return tuple(order)


def _gone(found: Sequence[Block]) -> int:
    return sum(block.is_gone for block in found)


def _levels(found: Sequence[Block], named: Sequence[str]) -> tuple[float, ...]:
    gone = _gone(found)
    # something must be left
    most = min(sum(block.can_go for block in found), len(found) - gone - 1)
    counts = [len(named)] if named else range(1, most + 1)
    return (0.0, *((gone + count) / len(found) for count in counts))


def _impossible(ratio: float, count: int, found: Sequence[Block], possible: Sequence[float]) -> EdgekdError:
    gone = _gone(found)
    if not possible:
        message = f"the network has no block that can go: of {len(found)}, {gone} went before, and"
        hint = "Take a method that narrows layers, such as widthwise."
        return UnsupportedModelError(f"{message} no other gives maps of the shape that it gets", hint)
    reach = f"from {possible[0]:.3g} to {possible[-1]:.3g}" if len(possible) > 1 else f"{possible[0]:.3g}"
    message = f"a ratio of {ratio:g} would leave {len(found) - count} of the network's {len(found)} blocks"
    left = f", and {len(found) - gone} are left now" if gone else ""
    return UnsupportedModelError(message + left, f"Here, prune.ratio can be 0 or {reach}.")


def _named(subject: Subject, found: Sequence[Block]) -> tuple[str, ...]:
    """The blocks that the options name."""
    names = tuple(dict.fromkeys(str(subject.options.get("remove", OPTIONS["remove"])).split()))
    known = {block.name: block for block in found}
    for name in names:
        if name not in known:
            raise EdgekdError(f"prune.options.remove: the network has no block {name!r}", catalog.nearest(name, known))
        if not known[name].can_go:
            free = " ".join(block.name for block in found if block.can_go) or "none"
            why = "is gone already" if known[name].is_gone else "gives maps of another shape than it gets"
            raise UnsupportedModelError(f"prune.options.remove: block {name!r} {why}", f"Blocks that can go: {free}.")
    return names


def _ordered(subject: Subject, found: Sequence[Block]) -> tuple[str, ...]:
    order = choice(subject, OPTIONS, CHOICES, "order")
    free = tuple(block.name for block in found if block.can_go)
    if order == "position":
        return by_position(found)
    if order == "influence":
        if len(subject.images) == 0:
            raise EdgekdError("order = 'influence' needs training images", "Give them, or take order = 'position'.")
        influence = influences(subject.model, free, subject.images)
        return tuple(sorted(free, key=lambda name: influence[name]))
    if missing := [name for name in free if name not in subject.costs]:
        message = f"order = 'latency' needs the latency without each block; it wasn't measured for {missing[0]}"
        raise EdgekdError(message, "Give a device of the target, or take order = 'position' or 'influence'.")
    return tuple(sorted(free, key=lambda name: -subject.costs[name]))
