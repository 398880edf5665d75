"""An ONNX model as the rules read it: each scope's nodes, constants, and who makes and reads a value."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgekd.deploy.quantise.simplify import opset

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"


@dataclass(frozen=True)
class Scope:
    """The nodes of a graph, or of a function, with what they see of the graphs around."""

    nodes: tuple[onnx.NodeProto, ...]
    constants: MutableMapping[str, TensorProto]
    made_by: MutableMapping[str, onnx.NodeProto]
    types: MutableMapping[str, int]
    """ONNX's element types of inputs and of what the file states about other values."""

    @cached_property
    def pairs(self) -> tuple[onnx.NodeProto, ...]:
        """The nodes that quantise or dequantise."""
        found = (node for node in self.nodes if node.op_type in (QUANTISE, DEQUANTISE))
        return tuple(node for node in found if len(node.input) > 1 and node.output)

    def maker(self, name: str) -> str | None:
        """The operator that makes a value; None for inputs and constants."""
        return self.made_by[name].op_type if name in self.made_by else None

    def dequantised(self, name: str) -> onnx.NodeProto | None:
        """The node that dequantises a value, if one makes it."""
        made = self.made_by.get(name)
        return made if made is not None and made.op_type == DEQUANTISE and len(made.input) > 1 else None

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read a value."""
        return [node for node in self.nodes if name in node.input]

    def zero_point(self, node: onnx.NodeProto) -> TensorProto | None:
        """The constant zero point of one of `pairs`; None where it has none, or computes it."""
        return self.constants.get(node.input[2]) if len(node.input) > 2 else None

    def integer(self, node: onnx.NodeProto) -> int | None:
        """The element type that one of `pairs` gives or takes; None where the file doesn't say."""
        if (zero := self.zero_point(node)) is not None:
            return zero.data_type
        if node.op_type == QUANTISE:
            stated = next((given.i for given in node.attribute if given.name == "output_dtype"), 0)
            computed = len(node.input) > 2 and node.input[2] != ""
            return stated or (None if computed else TensorProto.UINT8)
        taken = node.input[0]
        if taken in self.constants:
            return self.constants[taken].data_type
        made = self.made_by.get(taken)
        return self.integer(made) if made is not None and made.op_type == QUANTISE else self.types.get(taken)

    def per_channel(self, node: onnx.NodeProto) -> bool:
        """Whether one of `pairs` has a scale for each channel, or block."""
        scale = self.constants.get(node.input[1])
        return scale is not None and int(np.prod(scale.dims)) > 1

    def weight(self, node: onnx.NodeProto) -> TensorProto | None:
        """The constant that one of `pairs` takes, maybe behind another of them; None for an activation."""
        made = self.made_by.get(node.input[0])
        behind = made is not None and made.op_type == QUANTISE and len(made.input) > 0
        return self.constants.get(made.input[0] if made is not None and behind else node.input[0])


@dataclass(frozen=True)
class Model:
    """A model, which need not have its external data."""

    proto: onnx.ModelProto

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators."""
        return opset(self.proto)

    @cached_property
    def scopes(self) -> tuple[Scope, ...]:
        """The graph, its subgraphs and the functions."""
        functions = (scope for function in self.proto.functions for scope in _scopes(function.node, _nothing()))
        return (*_scopes_of(self.proto.graph, _nothing()), *functions)


def called(node: onnx.NodeProto) -> str:
    """How a message names a node."""
    return node.name or (node.output[0] if node.output else node.op_type)


def _nothing() -> Scope:
    return Scope((), ChainMap(), ChainMap(), ChainMap())


def _scopes_of(graph: onnx.GraphProto, around: Scope) -> Iterator[Scope]:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info)}
    seen = Scope((), ChainMap(constants, around.constants), around.made_by, ChainMap(types, around.types))
    yield from _scopes(graph.node, seen)


def _scopes(nodes: Iterable[onnx.NodeProto], around: Scope) -> Iterator[Scope]:
    found = tuple(nodes)
    constants = {node.output[0]: tensor for node in found if (tensor := _constant(node)) is not None}
    made_by = {name: node for node in found if node.op_type != "Constant" for name in node.output}
    scope = Scope(found, ChainMap(constants, around.constants), ChainMap(made_by, around.made_by), around.types)
    yield scope
    for node in found:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _scopes_of(inner, scope)


def _constant(node: onnx.NodeProto) -> TensorProto | None:
    """The value of a node that is a constant."""
    if node.op_type != "Constant":
        return None
    for given in node.attribute:
        if given.name == "value":
            stated: TensorProto = given.t
            return stated
        if given.name in ("value_int", "value_float"):
            value = np.int64(given.i) if given.name == "value_int" else np.float32(given.f)
            return numpy_helper.from_array(np.asarray(value))
    return None
