"""Blocks by their position alone: the last block of the longest stage goes first, and of the later one if two are as
long, so that all get shorter before one vanishes. Edgekd's choice.

A stage is blocks in a row with maps of one size; one that can't go begins it.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.space import Block

SCORES: Literal["blocks"] = "blocks"
NEEDS_IMAGES = False
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, blocks: Sequence[Block]) -> Mapping[str, float]:
    """The blocks' places in the order in which they go, from 0."""
    return {name: float(place) for place, name in enumerate(order(blocks))}


def order(blocks: Sequence[Block]) -> tuple[str, ...]:
    """The blocks that can go, those that go first at the beginning."""
    begun = itertools.accumulate(not block.can_go for block in blocks)
    by_stage = itertools.groupby(zip(begun, blocks, strict=True), key=lambda pair: (pair[0], pair[1].size))
    stages = [[block for _, block in stage] for _, stage in by_stage]
    found: list[str] = []
    while shrinkable := [stage for stage in reversed(stages) if stage and stage[-1].can_go]:
        found.append(max(shrinkable, key=len).pop().name)  # of the longest, max gives the first
    return tuple(found)
