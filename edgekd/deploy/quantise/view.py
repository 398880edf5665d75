"""A graph from the side of its values: what makes each, what reads it, how large it is."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import numpy_helper


@dataclass(frozen=True)
class View:
    """Lookups in a graph with inferred shapes; nodes by their position in it."""

    nodes: Sequence[onnx.NodeProto]
    constants: Mapping[str, onnx.TensorProto]
    outputs: frozenset[str]
    """The graph's."""
    made_by: Mapping[str, int]
    """The node that makes a value; a graph's inputs and constants have none."""
    readers: Mapping[str, Sequence[tuple[int, int]]]
    """The nodes that read a value, each with which of its inputs that is."""
    shapes: Mapping[str, Sequence[int]]
    """Of the values whose axes are all fixed."""

    def elements(self, name: str) -> int | None:
        """How many numbers a value has; None where an axis is open."""
        return math.prod(self.shapes[name]) if name in self.shapes else None


def view(graph: onnx.GraphProto) -> View:
    """The lookups of a graph."""
    readers: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number, node in enumerate(graph.node):
        for index, name in enumerate(node.input):
            readers[name].append((number, index))
    return View(
        nodes=graph.node,
        constants={tensor.name: tensor for tensor in graph.initializer},
        outputs=frozenset(output.name for output in graph.output),
        made_by={output: number for number, node in enumerate(graph.node) for output in node.output},
        readers=readers,
        shapes=_shapes(graph),
    )


def attribute(node: onnx.NodeProto, name: str, default: int | float) -> int | float:
    """A node's attribute that is a number."""
    for given in node.attribute:
        if given.name == name:
            return float(given.f) if given.type == onnx.AttributeProto.FLOAT else int(given.i)
    return default


def is_rectifier(node: onnx.NodeProto, seen: View) -> bool:
    """Whether it is a Relu or a Clip from 0, which is what unsigned integers do by themselves."""
    if node.op_type != "Clip":
        return node.op_type == "Relu"
    if len(node.input) < 2 or not node.input[1]:
        return any(given.name == "min" and given.f == 0 for given in node.attribute)
    bound = seen.constants.get(node.input[1])
    return bound is not None and float(numpy_helper.to_array(bound).reshape(-1)[0]) == 0


def _shapes(graph: onnx.GraphProto) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[value.name] = [axis.dim_value for axis in axes]
    found.update({tensor.name: list(tensor.dims) for tensor in graph.initializer})
    return found
