"""Which channels of a network can only go together, and how to take them out.

The dependency graph of DepGraph (Fang et al., CVPR 2023, arXiv 2301.12900) as torch-pruning builds it: one traced
forward pass tells which layers share a channel through additions, concatenations, depthwise convolutions and norms.
This is the only module that imports torch_pruning.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
import torch_pruning
from torch import Tensor, nn


@dataclass(frozen=True)
class Member:
    """One side of one layer in a group: its channel `channels[i]` is removed with the group's `sources[i]`."""

    layer: nn.Module
    side: Literal["out", "in"]
    channels: tuple[int, ...]
    sources: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """Channels that several layers share.

    `root` is the first layer, in the order of the network's modules, that makes any of them: what comes behind may be
    left out. `parts` is the number of equal consecutive parts that must keep the same positions, because a grouped
    convolution or norm reads them side by side; 1 where none does.
    """

    root: str
    width: int
    parts: int
    members: tuple[Member, ...]


def channels_left(
    model: nn.Module, groups: Sequence[Group], kept: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """The output channels that stay in each convolution and linear layer that is narrowed, by its name.

    Args:
        model: as it is before.
        groups: its groups.
        kept: by the group's root, the channels that stay of those that are narrowed.
    """
    names = {layer: name for name, layer in model.named_modules()}
    lost: dict[nn.Module, set[int]] = {}
    for group in groups:
        gone = set(range(group.width)) - set(kept.get(group.root, range(group.width)))
        for member in group.members:
            if gone and member.side == "out" and isinstance(member.layer, LAYERS):
                pairs = zip(member.channels, member.sources, strict=True)
                lost.setdefault(member.layer, set()).update(channel for channel, source in pairs if source in gone)
    return {names[layer]: tuple(sorted(set(range(outputs_of(layer))) - gone)) for layer, gone in lost.items()}


def outputs_of(layer: nn.Module) -> int:
    """How many channels a convolution or linear layer gives."""
    return layer.out_features if isinstance(layer, nn.Linear) else int(layer.out_channels)  # type: ignore[arg-type]


def inputs_of(layer: nn.Module) -> int:
    """How many channels a convolution or linear layer reads."""
    return layer.in_features if isinstance(layer, nn.Linear) else int(layer.in_channels)  # type: ignore[arg-type]


LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def _mixes(layer: nn.Module) -> bool:
    """Whether it makes channels of its own, which depthwise convolutions and norms don't."""
    return isinstance(layer, LAYERS) and not getattr(layer, "groups", 1) == getattr(layer, "in_channels", 0) > 1


class Channels(Protocol):
    """The channels of a network that can go, and a way to take them out of it, in place."""

    groups: tuple[Group, ...]

    def keep(self, root: str, channels: Sequence[int]) -> None:
        """Narrow the group of layer `root` to these of its channels, in every layer that shares them."""


class Graph:
    """The dependency graph of a network, which `keep` narrows in place; satisfies `Channels`.

    Args:
        model: in eval mode; the caller's own copy.
        example: one input (N, C, H, W).

    Raises:
        Exception: whatever the network or torch-pruning raises on what can't be traced.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self._layers = dict(model.named_modules())
        # the trace follows autograd, so frozen weights would end it
        model.requires_grad_(True)
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # a bare tensor would be unpacked along its batch axis first
            self._graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=(example,))
        self.groups = self._groups()

    def keep(self, root: str, channels: Sequence[int]) -> None:
        """Narrow the group of layer `root` to these of its output channels, in every layer that shares them."""
        layer = self._layers[self._traced[root]]
        pruner = self._graph.get_pruner_of_module(layer)
        removed = sorted(set(range(pruner.get_out_channels(layer))) - set(channels))
        if removed:
            self._graph.get_pruning_group(layer, pruner.prune_out_channels, removed).prune(record_history=False)

    def _groups(self) -> tuple[Group, ...]:
        names = {layer: name for name, layer in self._layers.items()}
        self._traced: dict[str, str] = {}
        """By a group's root, the layer by which it was traced."""
        found = []
        for group in self._graph.get_all_groups():
            if any(self._decides_output(dependency) for dependency, _ in group):
                continue
            traced = names[group[0].dep.target.module]
            members = tuple(m for item in group if (m := self._member(item)) is not None)
            made = {names[member.layer] for member in members if member.side == "out" and _mixes(member.layer)}
            first = next((name for name in self._layers if name in made), traced)
            root = traced if first in self._traced else first
            self._traced[root] = traced
            found.append(Group(root, len(group[0].idxs), self._parts(group), members))
        return tuple(found)

    def _decides_output(self, dependency: Any) -> bool:
        """Whether narrowing this layer would take classes away: nothing reads what it gives but the caller."""
        return not dependency.target.outputs and self._graph.is_out_channel_pruning_fn(dependency.handler)

    def _member(self, item: Any) -> Member | None:
        layer = item.dep.target.module
        if not isinstance(getattr(layer, "weight", None), Tensor) or None in item.root_idxs:
            return None
        side: Literal["out", "in"] = "out" if self._graph.is_out_channel_pruning_fn(item.dep.handler) else "in"
        return Member(layer, side, tuple(item.idxs), tuple(item.root_idxs))

    def _parts(self, group: Any) -> int:
        parts = 1
        for dependency, _ in group:
            layer = dependency.target.module
            pruner = self._graph.get_pruner_of_module(layer)
            depthwise = isinstance(layer, nn.modules.conv._ConvNd) and layer.groups == layer.out_channels
            if pruner is None or depthwise:
                continue
            is_out = self._graph.is_out_channel_pruning_fn(dependency.handler)
            count = pruner.get_out_channel_groups(layer) if is_out else pruner.get_in_channel_groups(layer)
            parts = max(parts, count)
        return parts
