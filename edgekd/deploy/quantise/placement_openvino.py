"""Which inputs OpenVINO wants quantised on x86: those of layers and of residual additions, and no others.

A layer's kernel computes what follows it up to the next pair: activations, an addition, the rounding. Means, gates and
their products are single nodes in any case, and a pair before them costs one more.
"""

from collections.abc import Iterator, Set

import onnx

from edgekd.deploy.quantise.layers import weights
from edgekd.deploy.quantise.placement import Placement
from edgekd.deploy.quantise.view import View, attribute, view

_HARD_SWISH_FROM = 14
_CLOSE = 1e-4


def placement(graph: onnx.GraphProto, layers: Set[str] | None = None) -> Placement:
    """The inputs of a float graph that are quantised.

    Args:
        graph: with inferred shapes.
        layers: only those whose weights have these names; None: all.
    """
    chosen = tuple(weight for weight in weights(graph) if layers is None or weight.name in layers)
    numbers = {weight.node for weight in chosen}
    inputs = {(number, 0) for number in numbers}
    return Placement(tuple(sorted(inputs.union(_additions(view(graph), numbers)))), chosen)


def _additions(seen: View, layers: Set[int]) -> Iterator[tuple[int, int]]:
    """Both inputs of the additions of activations of one shape, where a layer in integers makes one of them."""
    for number, node in enumerate(seen.nodes):
        if node.op_type != "Add" or any(name in seen.constants for name in node.input):
            continue
        alike = node.input[0] in seen.shapes and seen.shapes[node.input[0]] == seen.shapes.get(node.input[1])
        if alike and any(seen.made_by.get(name) in layers for name in node.input):
            yield from ((number, 0), (number, 1))


def with_hard_swishes(model: onnx.ModelProto, opset: int) -> None:
    """Put a HardSwish in place of a HardSigmoid and its product: OpenVINO computes it in a layer's kernel, and the two
    as nodes of their own. Opsets below 14 have none.
    """
    if opset < _HARD_SWISH_FROM:
        return
    seen, gone = view(model.graph), set()
    for node in model.graph.node:
        for gate in node.input if node.op_type == "Mul" else ():
            maker = seen.nodes[seen.made_by[gate]] if gate in seen.made_by else None
            if maker is not None and _is_gate_of(maker, node, seen):
                gone.add(gate)
                given = maker.input[0]
                del node.input[:]
                node.input.append(given)
                node.op_type = "HardSwish"
                break
    kept = [node for node in model.graph.node if node.output[0] not in gone]
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _is_gate_of(maker: onnx.NodeProto, product: onnx.NodeProto, seen: View) -> bool:
    """Whether the product is that of a value and its own hard sigmoid, with the slope and offset of a hard swish."""
    return (
        maker.op_type == "HardSigmoid"
        and sorted(product.input) == sorted([maker.input[0], maker.output[0]])
        and len(seen.readers[maker.output[0]]) == 1
        and maker.output[0] not in seen.outputs
        and abs(attribute(maker, "alpha", 0.2) - 1 / 6) < _CLOSE
        and abs(attribute(maker, "beta", 0.5) - 0.5) < _CLOSE
    )
