"""The layers of a float graph, and what multiplies with their inputs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

from edgekd.deploy.quantise.view import attribute

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


@dataclass(frozen=True)
class Weight:
    """The constant that a layer multiplies with, and by which the layer is named."""

    node: int
    """The layer's position in the graph."""
    name: str
    axis: int | None
    """Of its output channels; None where one scale is for all of it."""


def weights(graph: onnx.GraphProto) -> Iterator[Weight]:
    """The weights of the layers that can compute in integers: float32 constants, and nothing else scales products."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for number, node in enumerate(graph.node):
        if node.op_type in LAYERS and node.domain in ("", "ai.onnx") and node.input[0] not in constants:
            weight = constants.get(node.input[1])
            if weight is not None and weight.data_type == onnx.TensorProto.FLOAT:
                yield from _weight(number, node, weight)


def named(graph: onnx.GraphProto) -> Mapping[str, tuple[Weight, ...]]:
    """The layers by the names of their weights; two share one where they share a weight."""
    found: dict[str, tuple[Weight, ...]] = {}
    for weight in weights(graph):
        found[weight.name] = (*found.get(weight.name, ()), weight)
    return found


def _weight(number: int, node: onnx.NodeProto, weight: onnx.TensorProto) -> Iterator[Weight]:
    if node.op_type == "Conv":
        yield Weight(number, weight.name, 0)
    elif node.op_type == "ConvTranspose":
        # (in, out / groups, …): a channel of each group shares a place on that axis
        yield Weight(number, weight.name, 1 if attribute(node, "group", 1) == 1 else None)
    elif node.op_type == "MatMul":
        if len(weight.dims) == 2:
            yield Weight(number, weight.name, 1)
    elif all(attribute(node, name, 1) == 1 for name in ("alpha", "beta")) and not attribute(node, "transA", 0):
        yield Weight(number, weight.name, 0 if attribute(node, "transB", 0) else 1)
