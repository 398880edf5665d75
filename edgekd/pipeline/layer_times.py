"""The layers of a graph in the traces of a runtime that has optimised and renamed its nodes."""

import re
from collections.abc import Iterator, Sequence

import onnx

from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.subsets import Layer
from edgekd.deploy.quantise.view import View, attribute, view
from edgekd.measuring.nodes import products
from edgekd.values import Trace

_FUSED_AT_MOST = 4
"""Operators behind a layer whose result a runtime may name the fused node after."""

_RENAMED = re.compile(r"^fused |(_nchwc|_nhwc)?(_token_\d+)?$")


def layers(graph: onnx.GraphProto, floats: Trace, integers: Trace) -> tuple[Layer, ...]:
    """The layers of a float graph in its order, with what each takes in both files.

    A node is that of a layer if it is called after the layer's node, or after what the layer, or an operator fused with
    it, gives: as ONNX Runtime and OpenVINO name the nodes of an optimised graph. In ncnn's files it is called after the
    layer's weight. Layers with one weight count as one.
    """
    seen = view(graph)
    positions = _positions(graph)
    times = [_times(seen, positions, trace) for trace in (floats, integers)]
    return tuple(
        Layer(name, _pointwise(seen, at[0]), *(ms.get(name) for ms in times)) for name, at in positions.items()
    )


def times(graph: onnx.GraphProto, trace: Trace) -> dict[str, float]:
    """Milliseconds of the layers of a float graph in the trace of any file of it, by the names of their weights; none
    for a layer of which a node isn't found.
    """
    return _times(view(graph), _positions(graph), trace)


def _positions(graph: onnx.GraphProto) -> dict[str, list[int]]:
    """The nodes of each layer, by the name of its weight, in the order of the graph."""
    found = named(graph)
    return {name: [weight.node for weight in of_one] for name, of_one in found.items()}


def _times(seen: View, positions: dict[str, list[int]], trace: Trace) -> dict[str, float]:
    """Milliseconds by layer; none for a layer of which a node isn't found."""
    left = {_RENAMED.sub("", node.name): node.ms for node in products(trace)}
    found: dict[int, float] = {}
    everywhere = [position for of_one in positions.values() for position in of_one]
    # a layer's own names first: what two branches are added to may be called after either
    for depth in range(_FUSED_AT_MOST + 1):
        for position in everywhere:
            names = [name for name in _names(seen, position, depth) if name in left]
            if position not in found and names:
                found[position] = left.pop(names[0])
    return {
        name: sum(found[position] for position in of_one)
        for name, of_one in positions.items()
        if all(position in found for position in of_one)
    }


def _names(seen: View, position: int, depth: int) -> Iterator[str]:
    """What a layer's node may be called with so many operators fused."""
    node = seen.nodes[position]
    if depth == 0:
        yield node.input[1]
    for _ in range(depth):
        readers = seen.readers.get(node.output[0], ())
        following = [seen.nodes[reader] for reader, _ in readers]
        # an activation such as x · sigmoid(x) reads a value twice
        if not following or len(following) > 2:
            return
        node = following[-1]
    yield from (name for name in (node.name, node.output[0]) if name)


def _pointwise(seen: View, position: int) -> int:
    node = seen.nodes[position]
    shape: Sequence[int] = seen.shapes.get(node.input[1], ())
    plain = node.op_type == "Conv" and len(shape) == 4 and shape[2:] == [1, 1] and attribute(node, "group", 1) == 1
    return shape[1] if plain else 0
