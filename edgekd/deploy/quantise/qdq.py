"""A float graph with explicit Q/DQ pairs: symmetric INT8, zero point 0, float biases."""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.deploy.quantise.placement import Placement, Weight
from edgekd.deploy.quantise.ranges import Ranges

_LEVELS = 127  # -128 is left out, so that the range is symmetric
_LEAST_HALF = 2.0**-24  # the smallest float16 above 0


def with_qdq(model: onnx.ModelProto, placed: Placement, ranges: Ranges, *, half: bool, packed: bool) -> onnx.ModelProto:
    """The model with its inputs quantised as `placed` says.

    Args:
        model: a float one, not changed.
        placed: of that model.
        ranges: of the activations that are quantised.
        half: whether the scales will become float16: they are rounded to it, and weights are quantised by the rounded.
        packed: whether weights are stored as integers, behind a DequantizeLinear alone; else in float before a pair.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    writer = _Writer(result.graph, half, packed)
    weights = {weight.node: weight for weight in placed.weights}
    reads: dict[int, list[int]] = {}
    for node, index in placed.activations:
        reads.setdefault(node, []).append(index)
    nodes = list(result.graph.node)
    del result.graph.node[:]
    for number, node in enumerate(nodes):
        for index in reads.get(number, ()):
            node.input[index] = writer.activation(node.input[index], ranges.magnitude(node.input[index]))
        if number in weights:
            node.input[1] = writer.weight(node, weights[number])
        result.graph.node.append(node)
    _drop_unread(result.graph)
    return result


class _Writer:
    """Appends pairs to a graph, one for each value."""

    def __init__(self, graph: onnx.GraphProto, half: bool, packed: bool) -> None:
        self._graph, self._half, self._packed = graph, half, packed
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._made: dict[object, str] = {}

    def activation(self, name: str, greatest: float) -> str:
        """The name of an activation after its pair."""
        if name not in self._made:
            scale = self._scale(np.array(greatest, np.float32))
            self._made[name] = self._pair(name, name, scale, None)
        return self._made[name]

    def weight(self, node: onnx.NodeProto, weight: Weight) -> str:
        """The name of a weight after its DequantizeLinear; a Gemm's has its output channels first from now on."""
        values = numpy_helper.to_array(self._constants[weight.name])
        axis, name = weight.axis, weight.name
        if node.op_type == "Gemm" and axis == 1:
            values, axis, name = np.ascontiguousarray(values.T), 0, f"{name}_transposed"
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("transB", 1))
        if (name, axis) not in self._made:
            others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
            scale = self._scale(np.abs(values).max(others))
            self._made[name, axis] = self._weight(name, values, scale, axis)
        return self._made[name, axis]

    def _weight(self, name: str, values: np.ndarray[Any, Any], scale: np.ndarray[Any, Any], axis: int | None) -> str:
        if not self._packed:
            return self._pair(self._constant(f"{name}_float", values), name, scale, axis)
        spread = scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        integers = np.clip(np.rint(values / spread), -_LEVELS, _LEVELS).astype(np.int8)
        held = self._constant(f"{name}_int8", integers)
        return self._node("DequantizeLinear", held, name, self._constants_of(name, scale), axis)

    def _pair(self, value: str, name: str, scale: np.ndarray[Any, Any], axis: int | None) -> str:
        constants = self._constants_of(name, scale)
        quantised = self._node("QuantizeLinear", value, name, constants, axis)
        return self._node("DequantizeLinear", quantised, name, constants, axis)

    def _node(self, op: str, value: str, name: str, constants: list[str], axis: int | None) -> str:
        output = f"{name}_{op}"
        node = onnx.helper.make_node(op, [value, *constants], [output], output)
        if axis is not None:
            node.attribute.append(onnx.helper.make_attribute("axis", axis))
        self._graph.node.append(node)
        return output

    def _constants_of(self, name: str, scale: np.ndarray[Any, Any]) -> list[str]:
        zero = np.zeros(scale.shape, np.int8)
        return [self._constant(f"{name}_scale", scale), self._constant(f"{name}_zero_point", zero)]

    def _constant(self, name: str, values: np.ndarray[Any, Any]) -> str:
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def _scale(self, greatest: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The scale of values up to this; any does where all of them are 0."""
        scale = np.where(greatest > 0, greatest / _LEVELS, 1.0).astype(np.float32)
        if self._half:
            scale = np.maximum(scale.astype(np.float16).astype(np.float32), np.float32(_LEAST_HALF))
        return np.maximum(scale, np.finfo(np.float32).tiny)


def _drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
