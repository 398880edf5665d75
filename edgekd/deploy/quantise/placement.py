"""Which inputs TensorRT wants quantised: those of convolutions and Gemm, and the skip input of residual additions.

Nothing stands between a convolution and what TensorRT fuses with it: an activation, or the addition of a residual.
Source: TensorRT's documentation, "Explicit Quantization", recommended placement of Q/DQ operators.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import onnx

LAYERS = ("Conv", "ConvTranspose", "Gemm")


@dataclass(frozen=True)
class Weight:
    """A constant that a layer multiplies with."""

    node: int
    name: str
    axis: int | None
    """Of its output channels; None where one scale is for all of it."""


@dataclass(frozen=True)
class Placement:
    """What gets a Q/DQ pair; nodes by their position in the graph."""

    activations: tuple[tuple[int, int], ...]
    """A node and which of its inputs."""
    weights: tuple[Weight, ...]


def placement(graph: onnx.GraphProto) -> Placement:
    """The inputs of a float graph that are quantised. The graph has its shapes inferred."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    layers = {i: axis for i, node in enumerate(graph.node) if (axis := _axis(node, constants)) is not None}
    weights = (Weight(i, graph.node[i].input[1], None if axis < 0 else axis) for i, axis in layers.items())
    skips = _skips(graph, layers, constants)
    return Placement(tuple(sorted([*((i, 0) for i in layers), *skips])), tuple(weights))


def attribute(node: onnx.NodeProto, name: str, default: int | float) -> int | float:
    """A node's attribute that is a number."""
    for given in node.attribute:
        if given.name == name:
            return float(given.f) if given.type == onnx.AttributeProto.FLOAT else int(given.i)
    return default


def _axis(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> int | None:
    """The axis of a layer's output channels in its weight, -1 for a scale of all of it; None where it stays float."""
    if node.op_type not in LAYERS or node.domain not in ("", "ai.onnx") or node.input[0] in constants:
        return None
    weight = constants.get(node.input[1])
    if weight is None or weight.data_type != onnx.TensorProto.FLOAT:
        return None
    if node.op_type == "Gemm":
        plain = all(attribute(node, name, 1) == 1 for name in ("alpha", "beta")) and not attribute(node, "transA", 0)
        return (0 if attribute(node, "transB", 0) else 1) if plain else None
    if node.op_type == "ConvTranspose":
        # (in, out / groups, …): a channel of each group shares a place on that axis
        return 1 if attribute(node, "group", 1) == 1 else -1
    return 0


def _skips(
    graph: onnx.GraphProto, layers: Mapping[int, int], constants: Mapping[str, onnx.TensorProto]
) -> Iterator[tuple[int, int]]:
    """The skip input of every addition that TensorRT fuses with the convolution of its other input."""
    made_by = {output: i for i, node in enumerate(graph.node) for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input) + Counter(o.name for o in graph.output)
    shapes, depths = _shapes(graph), _depths(graph)
    for i, node in enumerate(graph.node):
        if node.op_type != "Add" or any(name in constants for name in node.input):
            continue
        if node.input[0] not in shapes or shapes[node.input[0]] != shapes.get(node.input[1]):
            continue
        fusable = [
            (depths[name], index)
            for index, name in enumerate(node.input)
            if made_by.get(name) in layers and graph.node[made_by[name]].op_type != "Gemm" and uses[name] == 1
        ]
        if fusable:
            # of two, the shorter branch is the shortcut
            yield i, 1 - max(fusable)[1]


def _shapes(graph: onnx.GraphProto) -> dict[str, Sequence[int]]:
    """The shapes of what has all its axes fixed."""
    found: dict[str, Sequence[int]] = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[value.name] = [axis.dim_value for axis in axes]
    return found


def _depths(graph: onnx.GraphProto) -> dict[str, int]:
    """How many nodes there are at most between the graph's inputs and each value."""
    found: dict[str, int] = {}
    for node in graph.node:
        depth = 1 + max((found.get(name, 0) for name in node.input), default=0)
        found.update(dict.fromkeys(node.output, depth))
    return found
