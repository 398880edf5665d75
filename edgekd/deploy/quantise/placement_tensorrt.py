"""Which inputs TensorRT wants quantised: those of convolutions and Gemm, and the skip input of residual additions.

Nothing stands between a convolution and what TensorRT fuses with it: an activation, or the addition of a residual.
Source: TensorRT's documentation, "Explicit Quantization", recommended placement of Q/DQ operators.
"""

from collections.abc import Iterator, Set

import onnx

from edgekd.deploy.quantise.layers import weights
from edgekd.deploy.quantise.placement import Placement
from edgekd.deploy.quantise.view import View, view


def placement(graph: onnx.GraphProto, layers: Set[str] | None = None) -> Placement:
    """The inputs of a float graph that are quantised.

    Args:
        graph: with inferred shapes.
        layers: only those whose weights have these names; None: all.
    """
    chosen = tuple(
        weight
        for weight in weights(graph)
        if graph.node[weight.node].op_type != "MatMul" and (layers is None or weight.name in layers)
    )
    numbers = {weight.node for weight in chosen}
    skips = _skips(view(graph), numbers)
    return Placement(tuple(sorted([*((number, 0) for number in numbers), *skips])), chosen)


def _skips(seen: View, layers: Set[int]) -> Iterator[tuple[int, int]]:
    """The skip input of every addition that TensorRT fuses with the convolution of its other input."""
    depths = _depths(seen)
    for number, node in enumerate(seen.nodes):
        if node.op_type != "Add" or any(name in seen.constants for name in node.input):
            continue
        if node.input[0] not in seen.shapes or seen.shapes[node.input[0]] != seen.shapes.get(node.input[1]):
            continue
        fusable = [
            (depths[name], index)
            for index, name in enumerate(node.input)
            if seen.made_by.get(name) in layers
            and seen.nodes[seen.made_by[name]].op_type != "Gemm"
            and len(seen.readers[name]) == 1
            and name not in seen.outputs
        ]
        if fusable:
            # of two, the shorter branch is the shortcut
            yield number, 1 - max(fusable)[1]


def _depths(seen: View) -> dict[str, int]:
    """How many nodes there are at most between the graph's inputs and each value."""
    found: dict[str, int] = {}
    for node in seen.nodes:
        depth = 1 + max((found.get(name, 0) for name in node.input), default=0)
        found.update(dict.fromkeys(node.output, depth))
    return found
