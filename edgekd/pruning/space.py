"""What can be removed from a network: channels, blocks, single weights. Values alone; `pruning.explore` finds them."""

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgekd.values import PositiveInt, Structure, Value
from edgekd.values.value import NonNegativeInt

Granularity = Literal["channels", "blocks", "weights"]
"""What goes as one."""


class ChannelGroup(Value):
    """Channels that several layers share, counted at the outputs of the layer `root`."""

    root: str
    width: PositiveInt
    parts: PositiveInt = 1
    """Equal consecutive parts that must keep the same positions, as those of a grouped convolution."""
    allowed: tuple[PositiveInt, ...]
    """The widths that it can have, rising; the last one is its own."""


class Layer(Value):
    """A convolution or linear layer, and which groups its channels are of; the others stay."""

    name: str
    kind: str = ""
    """Layers of one kind take the same time where they have the same widths: its class, kernel and the like, and the
    size of the map that it gives.
    """
    positions: PositiveInt = 1
    """Of the map that it gives: height times width."""
    depthwise: bool = False
    """Whether it computes each channel by itself."""
    inputs: PositiveInt
    outputs: PositiveInt
    inputs_of: dict[str, PositiveInt] = Field(default_factory=dict)
    """How many of its inputs are of each group, by the group's root; all of the pixels of a map that is flattened."""
    outputs_of: dict[str, PositiveInt] = Field(default_factory=dict)


class Block(Value):
    """A block by its path in the network."""

    name: str
    size: tuple[int, ...] = ()
    """Height and width of the maps that it gives."""
    can_go: bool
    grows: bool = False
    """Whether it gives what it reads with channels more behind it: without it these channels are missing."""


class Space(Value):
    """What can be removed from a network."""

    channel_block: PositiveInt
    """Channels that the runtime's kernels process together: what allowed widths are multiples of."""
    groups: tuple[ChannelGroup, ...] = ()
    layers: tuple[Layer, ...] = ()
    """All convolutions and linear layers that run, in their order."""
    blocks: tuple[Block, ...] = ()
    """All of them, in their order."""
    weights: NonNegativeInt = 0
    """Single weights that can become zero."""
    zeros: NonNegativeInt = 0
    """How many of them are zero already."""

    def widths_of(self, layer: Layer, widths: Mapping[str, int]) -> tuple[int, int]:
        """A layer's inputs and outputs where groups have these widths, by their roots; the others have their own."""
        own = {group.root: group.width for group in self.groups}

        def left(total: int, of: Mapping[str, int]) -> int:
            return total - sum(
                count * (own[root] - widths.get(root, own[root])) // own[root] for root, count in of.items()
            )

        return left(layer.inputs, layer.inputs_of), left(layer.outputs, layer.outputs_of)

    @property
    def removable(self) -> tuple[str, ...]:
        """The blocks that can go."""
        return tuple(block.name for block in self.blocks if block.can_go)


class Scores(Value):
    """How important what can go is, by a criterion."""

    channels: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """Of each group, by its root."""
    blocks: dict[str, float] = Field(default_factory=dict)


def allowed_widths(width: int, *, block: int, parts: int) -> tuple[int, ...]:
    """The multiples of `block` and `parts` below a group's width, and the width itself."""
    unit = math.lcm(block, parts)
    return (*range(unit, width, unit), width)


def part_of_the_way(space: Space, structure: Structure, share: float) -> Structure:
    """The structure after `share` of the way from the whole network, for pruning in several steps.

    Widths are the allowed ones nearest to that from above. Blocks go in their order; where layers become narrower too,
    all of them at once, since the widths around a block tell whether it can go.
    """
    if share >= 1:
        return structure
    if share <= 0:
        return Structure()
    allowed = {group.root: group for group in space.groups}
    widths = {}
    for root, target in structure.widths.items():
        group = allowed[root]
        wanted = group.width - share * (group.width - target)
        width = next(width for width in group.allowed if width >= wanted)
        if width < group.width:
            widths[root] = width
    count = len(structure.removed) if structure.widths else math.floor(share * len(structure.removed))
    return Structure(widths=widths, removed=structure.removed[:count], zeros=share * structure.zeros)
