"""A graph as counting reads it: its nodes, constants, and the types and shapes of its values, scope by scope."""

from collections import ChainMap
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from edgekd.measuring.graph.shapes import shape_of
from edgekd.values.inspection import Shape
from edgekd.visible import visible_name

_FLOATS = {"float": "fp32", "float16": "fp16", "double": "fp64", "bfloat16": "bf16"}
_ONNX = ("", "ai.onnx")
_LAYOUT = ("Identity", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Cast")
"""Operators behind which a value is still that constant, or still those integers."""
QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class Constant:
    """A constant of a graph, whose values need not be there."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many; 0 for a damaged one."""
        product = 1
        for axis in self.shape:
            product *= max(0, axis)
        return product


@dataclass(frozen=True)
class Origin:
    """Where a value that a layer reads comes from."""

    dtype: str | None
    """The type in which it is stored; of what is dequantised, that of the integers. None: not known."""
    quantised: bool
    constant: Constant | None
    """None: it is computed from the graph's inputs."""


@dataclass(frozen=True)
class Scope:
    """The nodes of a graph or of a body, with what they see of the graphs around."""

    nodes: tuple[onnx.NodeProto, ...]
    constants: MutableMapping[str, Constant]
    made_by: MutableMapping[str, onnx.NodeProto]
    values: MutableMapping[str, onnx.ValueInfoProto]
    within: str | None
    """The node whose body it is; None for the graph itself."""

    def shape(self, name: str) -> Shape | None:
        """Of a value, as far as it is known."""
        if name in self.constants:
            return self.constants[name].shape
        return shape_of(self.values[name]) if name in self.values else None

    def dtype(self, name: str) -> str | None:
        """The element type of a value, as far as it is known."""
        if name in self.constants:
            return self.constants[name].dtype
        value = self.values.get(name)
        return dtype_of(value) if value is not None else None

    def origin(self, name: str) -> Origin:
        """Where a value comes from, through what only changes its layout or type, and through Q/DQ pairs."""
        stored, quantised, seen = self.dtype(name), False, set[str]()
        while name not in self.constants and name in self.made_by and name not in seen:
            seen.add(name)
            node = self.made_by[name]
            if node.op_type == DEQUANTISE and node.input:
                if not quantised:
                    stored, quantised = self._integers(node), True
            elif not self._leads_on(node, quantised):
                break
            name = node.input[0]
        constant = self.constants.get(name)
        if constant is not None and not quantised:
            stored = constant.dtype
        return Origin(stored, quantised, constant)

    def _leads_on(self, node: onnx.NodeProto, quantised: bool) -> bool:
        """Whether a node's first input is the same value; what is quantised was float before, which matters only for
        constants.
        """
        if not node.input:
            return False
        if node.op_type == QUANTISE and quantised:
            return self.origin_is_constant(node.input[0])
        return node.op_type in _LAYOUT and node.domain in _ONNX

    def origin_is_constant(self, name: str) -> bool:
        """Whether a value is a constant behind operators of layout."""
        seen = set[str]()
        while name in self.made_by and name not in self.constants and name not in seen:
            seen.add(name)
            node = self.made_by[name]
            if node.op_type not in _LAYOUT or not node.input:
                return False
            name = node.input[0]
        return name in self.constants

    def _integers(self, node: onnx.NodeProto) -> str | None:
        """The type of what a node dequantises."""
        zero = node.input[2] if len(node.input) > 2 else ""
        return self.dtype(node.input[0]) or (self.dtype(zero) if zero else None)


def scopes(graph: onnx.GraphProto) -> tuple[Scope, ...]:
    """The graph, and the bodies within it, each behind the one around it."""
    return tuple(_scopes(graph, Scope((), ChainMap(), ChainMap(), ChainMap(), None)))


def dtype_of(value: onnx.ValueInfoProto) -> str | None:
    """The name of a value's element type; None where it isn't stated. What isn't a tensor is named by its kind."""
    kind = value.type.WhichOneof("value")
    if kind is None:
        return None
    if kind != "tensor_type":
        return str(kind).removesuffix("_type")
    return type_name(value.type.tensor_type.elem_type)


def type_name(number: int) -> str | None:
    """ONNX's name of an element type, with fp32, fp16, bf16 and fp64 for floats; None for none."""
    if number == TensorProto.UNDEFINED:
        return None
    try:
        name = str(TensorProto.DataType.Name(number)).lower()
    except ValueError:  # of a newer ONNX
        return f"type {number}"
    return _FLOATS.get(name, name)


def operator(node: onnx.NodeProto) -> str:
    """A node's operator, with its domain if it isn't ONNX's own."""
    return visible_name(node.op_type if node.domain in _ONNX else f"{node.domain}:{node.op_type}")


def called(node: onnx.NodeProto) -> str:
    """What a node is called: by its name, or else its output."""
    return str(node.name or next(iter(node.output), "") or node.op_type)


def _scopes(graph: onnx.GraphProto, around: Scope) -> Iterator[Scope]:
    nodes = tuple(graph.node)
    found = {tensor.name: _constant(tensor.name, tensor) for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        name = sparse.values.name
        found[name] = Constant(name, type_name(sparse.values.data_type) or "", tuple(sparse.dims))
    for node in nodes:
        if node.op_type == "Constant" and node.output:
            found.update((each.name, each) for each in _in_node(node))
    scope = Scope(
        nodes=nodes,
        constants=ChainMap(found, around.constants),
        made_by=ChainMap({name: node for node in nodes for name in node.output}, around.made_by),
        values=ChainMap(
            {value.name: value for value in (*graph.input, *graph.value_info, *graph.output)}, around.values
        ),
        within=around.within,
    )
    yield scope
    for node in nodes:
        for attribute in node.attribute:
            for body in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                within = around.within or called(node)
                yield from _scopes(body, Scope((), scope.constants, scope.made_by, scope.values, within))


def _constant(name: str, tensor: TensorProto) -> Constant:
    return Constant(name, type_name(tensor.data_type) or "", tuple(tensor.dims))


def _in_node(node: onnx.NodeProto) -> Iterator[Constant]:
    """The constant that a Constant node holds."""
    name = node.output[0]
    for attribute in node.attribute:
        if attribute.name == "value":
            yield _constant(name, attribute.t)
        elif attribute.name in ("value_float", "value_int"):
            yield Constant(name, "fp32" if attribute.name == "value_float" else "int64", ())
        elif attribute.name in ("value_floats", "value_ints"):
            floats = attribute.name == "value_floats"
            values = attribute.floats if floats else attribute.ints
            yield Constant(name, "fp32" if floats else "int64", (len(values),))
