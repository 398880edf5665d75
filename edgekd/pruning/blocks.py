"""Whole blocks of a network: which there are, which can go, and the network without some of them.

A block is an outermost child of an `nn.Sequential` that convolves and mixes channels: a residual or separable block, or
a convolution with its norm. A child that is itself a series of such blocks, as the stages of most networks, is looked
into. A block can go where its input can take the place of its output: the shapes are the same, or the output is the
input with channels more behind it, as in DenseNet, and nothing but layers that read those channels depends on them.
"""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from edgekd.pruning.choose import channels_of
from edgekd.pruning.graph import Channels, Group
from edgekd.pruning.space import Block
from edgekd.pruning.watching import maps


def block_names(network: nn.Module) -> tuple[str, ...]:
    """The paths of all blocks of a network, in the order of its modules; those removed before aren't among them."""
    return tuple(_names_in("", network, in_sequence=False))


def blocks(network: nn.Module, example: Tensor, names: Sequence[str] | None = None) -> tuple[Block, ...]:
    """The blocks of a network in eval mode, and which can go; `Graph`'s errors where a block adds channels.

    Args:
        network: not changed.
        example: one input (1, C, H, W).
        names: the blocks to look at; all if None.
    """
    names = block_names(network) if names is None else names
    seen = maps(network, example, names)
    removable = {name for name, (before, after) in seen.items() if before.shape == after.shape}
    growing = [name for name, (before, after) in seen.items() if _grows(before, after)]
    if growing:
        copied = copy.deepcopy(network)
        graph = channels_of(network, copied, example)
        removable.update(name for name in growing if _new_channels(graph, copied, name, *seen[name]))
    sizes = {name: tuple(after.shape[2:]) for name, (_, after) in seen.items()}
    return tuple(
        Block(name=name, size=sizes.get(name, ()), can_go=name in removable, grows=name in growing) for name in names
    )


def without(network: nn.Module, example: Tensor, names: Sequence[str]) -> nn.Module:
    """A copy of the network with an `nn.Identity` for each of these blocks, all of which can go.

    What is left keeps its weights, but for those that read the channels which a block added.
    """
    smaller = copy.deepcopy(network).eval()
    seen = maps(network, example, names)
    growing = [name for name in names if _grows(*seen[name])]
    if growing:
        graph = channels_of(network, smaller, example)
        for name in growing:
            for group in _new_channels(graph, smaller, name, *seen[name]):
                graph.keep(group.root, ())
    for name in names:
        smaller.set_submodule(name, nn.Identity())
    return smaller


def _names_in(path: str, module: nn.Module, *, in_sequence: bool) -> Iterator[str]:
    if not _transforms(module):
        return
    if in_sequence and not _is_series(module):
        yield path
        return
    for name, child in module.named_children():
        within = f"{path}.{name}" if path else name
        yield from _names_in(within, child, in_sequence=isinstance(module, nn.Sequential))


def _is_series(module: nn.Module) -> bool:
    """Whether a child of a Sequential holds blocks rather than being one: several parts, or one with a forward of its
    own, that would each be a block. A depthwise convolution isn't; the pointwise one behind it makes it one.
    """
    if not isinstance(module, nn.Sequential):
        return False
    parts = [child for child in module if _transforms(child)]
    return len(parts) > 1 or any(any(part.children()) and not isinstance(part, nn.Sequential) for part in parts)


def _transforms(module: nn.Module) -> bool:
    """Whether it convolves and mixes channels, which a depthwise convolution alone doesn't."""
    layers = list(module.modules())
    convolutions = [layer for layer in layers if isinstance(layer, nn.modules.conv._ConvNd)]
    mixes = any(isinstance(layer, nn.Linear) for layer in layers) or not all(map(_is_depthwise, convolutions))
    return bool(convolutions) and mixes


def _is_depthwise(layer: nn.modules.conv._ConvNd) -> bool:
    return layer.groups == layer.in_channels > 1


def _grows(before: Tensor, after: Tensor) -> bool:
    """Whether a block passes its input on with channels more behind it."""
    channels = before.shape[1]
    return after.shape[1] > channels and torch.equal(after[:, :channels], before)


def _new_channels(graph: Channels, network: nn.Module, name: str, before: Tensor, after: Tensor) -> tuple[Group, ...]:
    """The groups of the channels that a growing block adds; none if they aren't made by its own layers alone."""
    inside = set(network.get_submodule(name).modules())
    groups = [
        group
        for group in graph.groups
        if group.root.startswith(f"{name}.") and any(member.layer not in inside for member in group.members)
    ]
    is_all = sum(group.width for group in groups) == after.shape[1] - before.shape[1]
    return tuple(groups) if is_all else ()
