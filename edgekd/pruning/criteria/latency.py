"""Blocks by the milliseconds that the network saves on the device without them: those that save most go first."""

from collections.abc import Mapping, Sequence
from typing import Literal

from edgekd.errors import EdgekdError
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.space import Block

SCORES: Literal["blocks"] = "blocks"
NEEDS_IMAGES = False
NEEDS_LATENCY = True
Options = NoOptions


def scores(subject: Subject, blocks: Sequence[Block]) -> Mapping[str, float]:
    """The milliseconds saved, negated.

    Raises:
        EdgekdError: a block's weren't measured.
    """
    free = [block.name for block in blocks if block.can_go]
    if missing := [name for name in free if name not in subject.saved_ms]:
        message = f'prune.criterion: "latency" needs the latency without each block; {missing[0]!r} was not measured'
        raise EdgekdError(message, 'Specify a --device of the target, or use "position" or "influence".')
    return {name: -subject.saved_ms[name] for name in free}
