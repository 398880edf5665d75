"""Pairs of QuantizeLinear and DequantizeLinear in a graph."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
_Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Pair:
    """The pair of a value, by the names of what it is made of."""

    scale: str
    zero_point: str
    integers: str
    """Between its two nodes."""
    behind: str


class Appending:
    """Appends nodes and constants to a graph, each under a name that nothing in it has."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        constants = {tensor.name for tensor in graph.initializer}
        self._taken = {*constants, *(name for node in graph.node for name in (*node.input, *node.output))}

    def pair(self, value: str, name: str, scale: _Array, zero: _Array, axis: int | None) -> Pair:
        """Quantise a value and dequantise it again; scales are along the axis, or one for all of it."""
        constants = self.quantisation(name, scale, zero)
        quantised = self.node(QUANTISE, [value, *constants], name, axis)
        behind = self.node(DEQUANTISE, [quantised, *constants], name, axis)
        return Pair(*constants, quantised, behind)

    def node(self, op: str, inputs: list[str], name: str, axis: int | None) -> str:
        """One end of a pair, named after `name`; the name of what it gives."""
        output = self.free(f"{name}_{op}")
        node = onnx.helper.make_node(op, inputs, [output], output)
        if axis is not None:
            node.attribute.append(onnx.helper.make_attribute("axis", axis))
        self._graph.node.append(node)
        return output

    def quantisation(self, name: str, scale: _Array, zero: _Array) -> tuple[str, str]:
        """The names of a scale and a zero point."""
        return self.constant(f"{name}_scale", scale), self.constant(f"{name}_zero_point", zero)

    def constant(self, name: str, values: _Array) -> str:
        """The name of a constant."""
        name = self.free(name)
        self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def free(self, stem: str) -> str:
        """A name that nothing in the graph has."""
        number, name = 1, stem
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        return name
