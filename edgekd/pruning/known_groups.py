"""The channels of a network that is equal to one whose groups are known already: nothing is traced again."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from edgekd.pruning.cut import is_depthwise, keep_channels, keep_inputs, keep_outputs
from edgekd.pruning.graph import LAYERS, Group, Member, inputs_of, outputs_of


@dataclass(frozen=True)
class Found:
    """Groups, with the network that they were found in."""

    model: nn.Module
    groups: tuple[Group, ...]

    def of(self, model: nn.Module) -> "KnownGroups":
        """Those of another network with the same layers."""
        names = {layer: name for name, layer in self.model.named_modules()}
        there = dict(model.named_modules())

        def bound(member: Member) -> Member:
            return replace(member, layer=there[names[member.layer]])

        return KnownGroups([replace(group, members=tuple(map(bound, group.members))) for group in self.groups])


class KnownGroups:
    """Groups that `keep` narrows in place; satisfies `graph.Channels`.

    Args:
        groups: their members are all layers that have any of their channels.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._left: dict[tuple[nn.Module, str], tuple[int, ...]] = {}
        """The channels that layers have left, by their side."""

    def keep(self, root: str, channels: Sequence[int]) -> None:
        """Narrow the group of layer `root` to these of its channels, in every layer that shares them."""
        group = next(group for group in self.groups if group.root == root)
        gone = set(range(group.width)) - set(channels)
        for member in group.members:
            pairs = zip(member.channels, member.sources, strict=True)
            self._take(member, {channel for channel, source in pairs if source in gone})

    def _take(self, member: Member, lost: set[int]) -> None:
        layer = member.layer
        # a layer that treats each channel by itself has one side
        side = member.side if isinstance(layer, LAYERS) and not is_depthwise(layer) else ""
        before = self._left.get((layer, side))
        before = tuple(range(_width(member))) if before is None else before
        stays = [i for i, channel in enumerate(before) if channel not in lost]
        if len(stays) == len(before) or len(before) == 1 < len(member.channels):  # one value for all channels
            return
        if not isinstance(layer, LAYERS):
            keep_channels(layer, stays, len(before))
        elif side == "in":
            keep_inputs(layer, stays)
        else:
            keep_outputs(layer, stays)
        self._left[layer, side] = tuple(before[i] for i in stays)


def _width(member: Member) -> int:
    """How many channels a layer has on that side."""
    layer = member.layer
    if isinstance(layer, LAYERS):
        return inputs_of(layer) if member.side == "in" else outputs_of(layer)
    return max(tensor.numel() for tensor in layer.parameters(recurse=False))
