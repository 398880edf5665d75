"""Channels of several layers that can only go together, since they meet: classes, and which of them are alike."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from torch import nn

from edgekd.pruning.cut import is_depthwise
from edgekd.pruning.graph import outputs_of
from edgekd.pruning.marks import Reached

Node = tuple[str, int]
"""A channel that a layer gives."""
Class = frozenset[Node]
"""Channels that go together."""


def readers(reached: Mapping[str, Reached]) -> tuple[str, ...]:
    """The layers that channels come to, in the same order in every process."""
    return tuple(dict.fromkeys(name for each in reached.values() for name in (*each.inputs, *each.per_channel)))


def places(reached: Mapping[str, Reached], reader: str) -> Iterator[list[Node]]:
    """The channels that come to each place of a layer's input."""
    found = [
        (source, {**each.inputs, **each.per_channel}[reader])
        for source, each in reached.items()
        if reader in each.inputs or reader in each.per_channel
    ]
    for at in zip(*(numbers for _, numbers in found), strict=True):
        yield [(source, number) for (source, _), numbers in zip(found, at, strict=True) for number in numbers]


def buckets(
    model: nn.Module, order: Sequence[str], reached: Mapping[str, Reached], parts: Mapping[str, int]
) -> list[list[Class]]:
    """Classes by the layers that they are in, each bucket in the order of its first layer's channels.

    Args:
        model: the network.
        order: its convolutions and linear layers, as they run.
        reached: where the channels of each go.
        parts: into how many equal parts a layer's channels are counted, of which the same ones go.
    """
    parent: dict[Node, Node] = {}

    def top(node: Node) -> Node:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = parent[above]
            node = above
        return node

    for tied in _ties(model, order, reached, parts):
        for node in tied:
            parent[top(node)] = top(tied[0])
    classes: dict[Node, set[Node]] = {}
    for node in list(parent):
        classes.setdefault(top(node), set()).add(node)
    alike: dict[tuple[tuple[str, int], ...], list[Class]] = {}
    for found in classes.values():
        if all(name in reached for name, _ in found):
            layers = [name for name, _ in found]
            signature = tuple((name, layers.count(name)) for name in order if name in layers)
            alike.setdefault(signature, []).append(frozenset(found))
    return [_in_order(found, signature[0][0]) for signature, found in alike.items() if len(found) > 1]


def _ties(
    model: nn.Module, order: Sequence[str], reached: Mapping[str, Reached], parts: Mapping[str, int]
) -> Iterator[list[Node]]:
    """Channels that go together."""
    for name in order:
        layer = model.get_submodule(name)
        count = parts.get(name, 1)
        if isinstance(layer, nn.modules.conv._ConvNd) and not is_depthwise(layer):
            count = max(count, layer.groups)
        step = outputs_of(layer) // count
        yield from ([(name, i + k * step) for k in range(count)] for i in range(step))
    for name in readers(reached):
        layer = model.get_submodule(name)
        nodes = list(places(reached, name))
        if is_depthwise(layer):
            each = outputs_of(layer) // len(nodes)
            outs = ([(name, i * each + k) for k in range(each)] for i in range(len(nodes)))
            yield from (sources + out for sources, out in zip(nodes, outs, strict=True))
            continue
        count = int(getattr(layer, "groups", getattr(layer, "num_groups", 1)))
        step = len(nodes) // count
        yield from ([node for k in range(count) for node in nodes[i + k * step]] for i in range(step))


def _in_order(classes: Iterable[Class], layer: str) -> list[Class]:
    """By their first channel in this layer."""
    return sorted(classes, key=lambda each: min(channel for name, channel in each if name == layer))
