"""A float graph with explicit Q/DQ pairs where a placement says, in the integers that a runtime wants."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.deploy.quantise.layers import LAYERS, Weight
from edgekd.deploy.quantise.pairs import DEQUANTISE, Appending, Pair
from edgekd.deploy.quantise.placement import MOVING, Placement
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.scales import Scheme, integers, of_activation, of_weights
from edgekd.deploy.quantise.view import attribute, view

_Array = np.ndarray[Any, Any]

_GREATEST_BIAS = 2.0**30
"""In an integer bias; as much is left to the sum of products."""


def with_qdq(model: onnx.ModelProto, placed: Placement, ranges: Ranges, scheme: Scheme) -> onnx.ModelProto:
    """The model with pairs where `placed` says.

    Args:
        model: a float one, not changed.
        placed: of that model.
        ranges: of the activations that are quantised.
        scheme: the integers.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    writer = _Writer(result.graph, placed, ranges, scheme)
    weights = {weight.node: weight for weight in placed.weights}
    reads: dict[int, list[int]] = defaultdict(list)
    for number, index in placed.activations:
        reads[number].append(index)
    shapes, nodes = view(model.graph).shapes, list(result.graph.node)
    del result.graph.node[:]
    for number, node in enumerate(nodes):
        step = np.ones((), np.float32)
        if number in placed.saturating:
            writer.saturating(node)
            continue
        for index in reads[number]:
            given = node.input[index]
            node.input[index], step = writer.activation(given)
            if index == 0 and number not in weights and _stays_in_floats(node, placed):
                node.input[0] = writer.by_channel(given, shapes)
        if number in weights:
            writer.layer(node, weights[number], step)
        result.graph.node.append(node)
    for name in placed.outputs:
        writer.output(name)
    _drop_unread(result.graph)
    return result


class _Writer:
    """Appends pairs to a graph, one for each value."""

    def __init__(self, graph: onnx.GraphProto, placed: Placement, ranges: Ranges, scheme: Scheme) -> None:
        self._graph, self._placed, self._ranges, self._scheme = graph, placed, ranges, scheme
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._into = Appending(graph)
        self._pairs: dict[str, Pair] = {}
        self._weights: dict[object, str] = {}

    def activation(self, name: str) -> tuple[str, _Array]:
        """The name of an activation behind its pair, and its scale."""
        scale, zero = self._integers(name)
        if name not in self._pairs:
            self._pairs[name] = self._into.pair(name, name, scale, zero, None)
        return self._pairs[name].behind, scale

    def by_channel(self, name: str, shapes: Mapping[str, Sequence[int]]) -> str:
        """The name of an activation behind its pair, dequantised with its one scale stated for each channel. Layers in
        floats read it so: ONNX Runtime's WeightBiasQuantization rounds the float weights of those that read what a
        single scale dequantised, with one scale for all of them.
        """
        scale, zero = self._integers(name)
        pair, key = self._pairs[name], f"{name}_channels"
        if len(shapes.get(name, ())) < 2:
            return pair.behind
        if key not in self._weights:
            channels = shapes[name][1]
            constants = self._into.quantisation(key, np.full(channels, scale), np.full(channels, zero))
            self._weights[key] = self._into.node(DEQUANTISE, [pair.integers, *constants], key, 1)
        return self._weights[key]

    def saturating(self, node: onnx.NodeProto) -> None:
        """Write a HardSigmoid, max(0, min(1, alpha x + beta)), as alpha x + beta: what reads it behind its pair, whose
        integers are of 0 to 1, finds it saturated. The integers of x are read as those of alpha x.
        """
        (given,), (result,) = node.input, node.output
        scale, zero = self._integers(given)
        self.activation(given)
        pair = self._pairs[given]
        factor = self._into.constant(
            f"{result}_alpha_scale", (scale * attribute(node, "alpha", 0.2)).astype(np.float32)
        )
        scaled = self._into.node(DEQUANTISE, [pair.integers, factor, pair.zero_point], f"{result}_alpha", None)
        one = self._into.constant(f"{result}_beta", np.ones((), zero.dtype))
        step = self._into.constant(f"{one}_scale", np.array(attribute(node, "beta", 0.5), np.float32))
        none = self._into.constant(f"{one}_zero_point", np.zeros((), zero.dtype))
        beta = self._into.node(DEQUANTISE, [one, step, none], one, None)
        self._graph.node.append(onnx.helper.make_node("Add", [scaled, beta], [result], node.name))

    def _integers(self, name: str) -> tuple[_Array, _Array]:
        """The scale and the zero point of an activation."""
        root = name
        while root in self._placed.like:
            root = self._placed.like[root]
        (low, high), (least, most) = self._ranges.tensors[root], self._placed.bounds.get(root, (-math.inf, math.inf))
        return of_activation(max(low, least), min(high, most), self._scheme)

    def output(self, name: str) -> None:
        """Give an output of the graph behind its pair, under its own name."""
        before, (behind, _) = self._into.free(f"{name}_float"), self.activation(name)
        renamed = {name: before, behind: name}
        for node in self._graph.node:
            for names in (node.input, node.output):
                names[:] = [renamed.get(found, found) for found in names]

    def layer(self, node: onnx.NodeProto, weight: Weight, step: _Array) -> None:
        """Let a layer, which reads an activation of the scale `step`, multiply in integers."""
        values, name, axis = numpy_helper.to_array(self._constants[weight.name]), weight.name, weight.axis
        if self._scheme.channels_first and node.op_type == "Gemm" and axis == 1:
            values, name, axis = np.ascontiguousarray(values.T), f"{name}_transposed", 0
            del node.attribute[:]
            node.attribute.append(onnx.helper.make_attribute("transB", 1))
        scale, bias = of_weights(values, axis, self._scheme), self._bias_of(node, weight.name)
        if bias is not None:
            if self._scheme.integer_bias:
                # a weight so small that its bias doesn't fit is coarser: beside that bias it doesn't count
                scale = np.maximum(scale, np.abs(bias) / (step * _GREATEST_BIAS)).astype(np.float32)
            node.input[2] = self._bias(weight.name, bias, (step * scale).astype(np.float32))
        key = (name, axis, scale.tobytes())
        if key not in self._weights:
            self._weights[key] = self._weight(name, values, scale, axis)
        node.input[1] = self._weights[key]

    def _bias_of(self, node: onnx.NodeProto, weight: str) -> _Array | None:
        """A layer's bias (O,) with its correction, or None where it keeps what it has; it has a third input then."""
        held, added = [name for name in node.input[2:3] if name], self._ranges.biases.get(weight)
        if added is None and not (held and self._scheme.integer_bias):
            return None
        if len(node.input) < 3:
            node.input.append("")
        values = numpy_helper.to_array(self._constants[held[0]]).reshape(-1) if held else np.zeros(1, np.float32)
        return values if added is None else np.asarray(values + np.array(added, np.float32))

    def _bias(self, weight: str, values: _Array, scale: _Array) -> str:
        name = f"{weight}_bias"
        if not self._scheme.integer_bias:
            return self._into.constant(name, values)
        held = self._into.constant(name, np.rint(values.astype(np.float64) / scale).astype(np.int32))
        return self._into.node(DEQUANTISE, [held, self._into.constant(f"{held}_scale", scale)], held, 0)

    def _weight(self, name: str, values: _Array, scale: _Array, axis: int | None) -> str:
        zero = np.zeros(scale.shape, np.int8)
        if not self._scheme.packed:
            return self._into.pair(self._into.constant(f"{name}_float", values), name, scale, zero, axis).behind
        held = self._into.constant(f"{name}_int8", integers(values, scale, axis))
        return self._into.node(DEQUANTISE, [held, *self._into.quantisation(name, scale, zero)], name, axis)


def _stays_in_floats(node: onnx.NodeProto, placed: Placement) -> bool:
    """Whether a node without integer weights is a layer, or moves values that a layer may read, in floats."""
    return node.op_type in LAYERS or (node.op_type in MOVING and node.output[0] not in placed.like)


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Drop the constants that nothing reads, and the pairs' ends that only HardSigmoids would have read."""
    outputs = {output.name for output in graph.output}
    read = {name for node in graph.node for name in node.input} | outputs
    nodes = [node for node in graph.node if read.intersection(node.output)]
    read = {name for node in nodes for name in node.input} | outputs
    tensors = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)
