"""Several ONNX operators that are one layer of ncnn."""

from collections import Counter
from dataclasses import replace

import numpy as np

from edgekd.deploy.ncnn.graph import Graph, Node

_GATES = {"Sigmoid": "Swish", "HardSigmoid": "HardSwish"}
_SHUFFLE = ("Reshape", "Transpose", "Reshape")
_EXCHANGED = [0, 2, 1, 3, 4]
_PIXELS = ("Cast", "Sub", "Div", "Transpose")
_CHANNELS_FIRST = [0, 3, 1, 2]


def with_gates(graph: Graph) -> Graph:
    """The same with x · sigmoid(x) as one Swish, and x · hardsigmoid(x) as one HardSwish."""
    made_by, uses = _made_by(graph), _uses(graph)
    found: dict[str, Node] = {}
    gone: set[str] = set()
    for node in graph.nodes:
        before = [made_by[name] for name in node.inputs if name in made_by] if node.op == "Mul" else []
        gates = [one for one in before if one.op in _GATES and one.inputs[0] in node.inputs]
        if gates and uses[gates[0].outputs[0]] == 1:
            gone.add(gates[0].outputs[0])
            one = gates[0]
            found[node.outputs[0]] = replace(node, op=_GATES[one.op], inputs=one.inputs, attributes=one.attributes)
    return _replaced(graph, found, gone)


def with_pixels(graph: Graph) -> Graph:
    """The same with a normalisation in front as one Pixels: bytes (1, H, W, C) become floats, a constant is subtracted
    and another divides, and channels come first.
    """
    made_by, uses = _made_by(graph), _uses(graph)
    found: dict[str, Node] = {}
    gone: set[str] = set()
    for last in graph.nodes:
        chain = [last]
        while chain[0].inputs and chain[0].inputs[0] in made_by and len(chain) < len(_PIXELS):
            chain.insert(0, made_by[chain[0].inputs[0]])
        between = [node.outputs[0] for node in chain[:-1]]
        if tuple(node.op for node in chain) != _PIXELS or any(uses[name] > 1 for name in between):
            continue
        mean, std = (graph.constants.get(node.inputs[1]) for node in chain[1:3])
        if mean is not None and std is not None and last.attributes.get("perm") == _CHANNELS_FIRST:
            gone |= {*between}
            given = {"scale": 1 / std.astype(np.float64), "bias": -mean.astype(np.float64) / std}
            found[last.outputs[0]] = Node("Pixels", chain[0].inputs, last.outputs, given)
    return _replaced(graph, found, gone)


def with_shuffles(graph: Graph) -> Graph:
    """The same with the exchange of channels between groups as one ChannelShuffle: channels are divided in two axes,
    which are exchanged and joined.
    """
    made_by, uses = _made_by(graph), _uses(graph)
    found: dict[str, Node] = {}
    gone: set[str] = set()
    for last in graph.nodes:
        middle = made_by.get(last.inputs[0]) if last.inputs else None
        first = made_by.get(middle.inputs[0]) if middle and middle.inputs else None
        if first is None or middle is None or (first.op, middle.op, last.op) != _SHUFFLE:
            continue
        alone = uses[first.outputs[0]] == 1 and uses[middle.outputs[0]] == 1
        divided, whole = graph.shapes.get(first.outputs[0], ()), graph.shapes.get(last.outputs[0])
        if alone and middle.attributes.get("perm") == _EXCHANGED and whole == graph.shapes.get(first.inputs[0]):
            gone |= {first.outputs[0], middle.outputs[0]}
            given = {"group": divided[1]}
            found[last.outputs[0]] = Node("ChannelShuffle", first.inputs[:1], last.outputs, given)
    return _replaced(graph, found, gone)


def _replaced(graph: Graph, found: dict[str, Node], gone: set[str]) -> Graph:
    """The graph with these nodes in the places of those with their outputs, without those that made what is gone."""
    nodes = [found.get(node.outputs[0], node) for node in graph.nodes if node.outputs[0] not in gone]
    return replace(graph, nodes=tuple(nodes))


def _made_by(graph: Graph) -> dict[str, Node]:
    return {output: node for node in graph.nodes for output in node.outputs}


def _uses(graph: Graph) -> Counter[str]:
    return Counter([*(name for node in graph.nodes for name in node.inputs), *graph.outputs])
