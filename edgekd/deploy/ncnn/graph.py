"""An ONNX graph, as its conversion to ncnn reads it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.errors import UnsupportedModelError

Values = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Node:
    """An operator with its constants beside what it reads."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.op} of {self.outputs[0]}"


@dataclass(frozen=True)
class Graph:
    """Nodes in the order in which they run."""

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Values]
    shapes: Mapping[str, Sequence[int]]
    """Of what has all its axes fixed, with the batch's."""

    def shape(self, name: str, node: Node) -> Sequence[int]:
        """Of a value that a node reads or writes. Raises UnsupportedModelError if it isn't fixed."""
        if name not in self.shapes:
            raise UnsupportedModelError(f"{node.name}: the shape of {name} isn't fixed", "Export it for one image.")
        return self.shapes[name]


def read(model: onnx.ModelProto) -> Graph:
    """The graph of a model whose shapes are inferred.

    Raises:
        UnsupportedModelError: it has an operator that isn't ONNX's own, or takes anything but one image.
    """
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    taken = [value for value in graph.input if value.name not in constants]
    shapes = _shapes([*graph.value_info, *graph.input, *graph.output])
    _require_images(taken, shapes)
    nodes = []
    for node in graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise UnsupportedModelError(f"ncnn has no {node.domain}:{node.op_type} ({node.name or node.output[0]})")
        given = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
        nodes.append(Node(node.op_type, tuple(node.input), tuple(node.output), given))
    outputs = tuple(value.name for value in graph.output)
    inputs = tuple(value.name for value in taken)
    return Graph(tuple(nodes), inputs, outputs, constants, shapes)


def _require_images(taken: Iterable[onnx.ValueInfoProto], shapes: Mapping[str, Sequence[int]]) -> None:
    for value in taken:
        if value.type.tensor_type.elem_type not in (onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8):
            raise UnsupportedModelError(f"ncnn takes float32, or pixels, and the input {value.name} is of another type")
        if value.name not in shapes or len(shapes[value.name]) != 4 or shapes[value.name][0] != 1:
            what = f"ncnn takes one image (1, C, H, W), and the input {value.name} isn't of such a shape"
            raise UnsupportedModelError(what, "Export it for one image, with all axes fixed.")


def _shapes(values: Iterable[onnx.ValueInfoProto]) -> dict[str, Sequence[int]]:
    found: dict[str, Sequence[int]] = {}
    for value in values:
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[value.name] = [axis.dim_value for axis in axes]
    return found
