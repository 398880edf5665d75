"""Which activations get a pair so that ONNX Runtime's CPU kernels compute in integers.

A pair stands on an activation, behind the rectifier that ONNX Runtime absorbs into the integer kernel before it. Where
the producer computes in integers, everything reads the activation behind its pair, because the kernel gives integers
alone; else only those that compute in integers do. Other operators than layers follow: they compute in integers where
their inputs are integers already and something that follows needs integers, or where they make the activation smaller.
Source of the groups that become integer kernels: onnxruntime/core/optimizer/qdq_transformer/selectors_actions.
"""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass

import onnx

from edgekd.deploy.quantise.layers import Weight, weights
from edgekd.deploy.quantise.placement import MOVING, Placement
from edgekd.deploy.quantise.view import View, attribute, is_rectifier, view

_SHRINKING = ("MaxPool", "AveragePool", "GlobalAveragePool")
_UNARY = ("AveragePool", "GlobalAveragePool", "LeakyRelu", "Sigmoid")
_SATURATING = "HardSigmoid"
"""It has no integer kernel, but is an addition whose integers saturate at 0 and 1."""
_JOINING = ("Add", "Mul", "Concat")
_FLOAT_OUTPUT = ("Gemm", "MatMul")
"""Layers whose integer kernels give floats as well."""
_SMALL = 16
"""An input with as many times fewer numbers than the output is worth a conversion of its own."""


def placement(graph: onnx.GraphProto, layers: Set[str] | None = None) -> Placement:
    """The activations of a float graph that are quantised.

    Args:
        graph: with inferred shapes.
        layers: only those whose weights have these names; None: all that have an integer kernel.
    """
    seen = view(graph)
    chosen = tuple(
        weight
        for weight in weights(graph)
        if (layers is None or weight.name in layers) and _has_kernel(seen, seen.nodes[weight.node])
    )
    return _Placing(seen, frozenset(weight.node for weight in chosen)).placed(chosen)


def _has_kernel(seen: View, layer: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime computes a layer in integers, whose bias must be a constant."""
    if layer.op_type == "ConvTranspose":
        return False
    bias, channels = layer.input[2] if len(layer.input) > 2 else "", seen.shapes[layer.input[1]]
    wide = channels[-1] if layer.op_type == "Gemm" and not attribute(layer, "transB", 0) else channels[0]
    return not bias or (bias in seen.constants and seen.elements(bias) == wide)


@dataclass(frozen=True)
class _Placing:
    """The steps of a placement."""

    seen: View
    layers: frozenset[int]

    def placed(self, chosen: tuple[Weight, ...]) -> Placement:
        """The placement of the layers with these weights, and of what follows them."""
        integer = self.layers | self._following()
        reads = sorted((number, index) for number in integer for index in self._activations(number))
        read = {self.seen.nodes[number].input[index] for number, index in reads}
        given = {self._result(number) for number in integer if not self._gives_floats(number, read)}
        everything = [place for name in given for place in self.seen.readers[name]]
        like, bounds = {}, {}
        for number in integer:
            node, result = self.seen.nodes[number], self._result(number)
            if node.op_type in MOVING:
                like[result] = node.input[0]
            elif node.op_type == _SATURATING or result != node.output[0]:
                bounds[result] = (0.0, 1.0 if node.op_type == _SATURATING else math.inf)
        return Placement(
            activations=tuple(sorted({*reads, *everything})),
            weights=chosen,
            outputs=tuple(sorted(given & self.seen.outputs)),
            like=like,
            bounds=bounds,
            saturating={number for number in integer if self.seen.nodes[number].op_type == _SATURATING},
        )

    def _activations(self, number: int) -> Iterator[int]:
        """Which inputs of an integer operator are activations."""
        node = self.seen.nodes[number]
        many = len(node.input) if node.op_type in _JOINING else 1
        return iter(range(many))

    def _result(self, number: int) -> str:
        """What a node gives, behind the rectifier that its integer kernel absorbs."""
        name: str = self.seen.nodes[number].output[0]
        readers = self.seen.readers.get(name, ())
        if len(readers) == 1 and name not in self.seen.outputs and self.seen.nodes[number].op_type not in MOVING:
            after = self.seen.nodes[readers[0][0]]
            if readers[0][1] == 0 and is_rectifier(after, self.seen):
                name = after.output[0]
        return name

    def _gives_floats(self, number: int, read: Set[str]) -> bool:
        """Whether an integer operator gives floats at no cost: a layer whose kernel does, before no rectifier, which
        keeps ONNX Runtime from using that kernel.
        """
        node = self.seen.nodes[number]
        readers = [self.seen.nodes[reader].op_type for reader, _ in self.seen.readers.get(node.output[0], ())]
        return node.op_type in _FLOAT_OUTPUT and node.output[0] not in read and not {*readers} & {"Relu", "Clip"}

    def _following(self) -> Set[int]:
        """The other operators that compute in integers."""
        at_hand = {self.seen.nodes[number].input[0] for number in self.layers}
        at_hand |= {self._result(number) for number in self.layers}
        able = []
        for number, node in enumerate(self.seen.nodes):
            if number not in self.layers and self._able(number, node, at_hand):
                able.append(number)
                at_hand.add(self._result(number))
        kept: set[int] = set()
        for number in reversed(able):
            wanted = any(reader in kept or reader in self.layers for reader, _ in self._readers(number))
            if wanted or self.seen.nodes[number].op_type in _SHRINKING:
                kept.add(number)
        return kept

    def _readers(self, number: int) -> Iterator[tuple[int, int]]:
        return iter(self.seen.readers.get(self._result(number), ()))

    def _able(self, number: int, node: onnx.NodeProto, at_hand: Set[str]) -> bool:
        """Whether an operator has an integer kernel, and its inputs are integers already or small."""
        if node.domain not in ("", "ai.onnx") or len([name for name in node.output if name]) != 1:
            return False
        if node.op_type in _JOINING:
            return self._joins(node, at_hand)
        if node.op_type not in (*MOVING, *_UNARY, _SATURATING) or node.input[0] not in at_hand:
            return False
        if any(given.name == "mode" and given.s == b"cubic" for given in node.attribute):
            return False
        if node.op_type == _SATURATING and min(attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)) <= 0:
            return False
        return all(not name or name in self.seen.constants for name in node.input[1:])

    def _joins(self, node: onnx.NodeProto, at_hand: Set[str]) -> bool:
        there = [name in at_hand for name in node.input]
        others = [name for name, has in zip(node.input, there, strict=True) if not has]
        if not any(there) or any(name in self.seen.constants for name in node.input):
            return False
        if len(set(node.input)) < len(node.input):
            return False
        return all(self._is_small(name, node.output[0]) for name in others)

    def _is_small(self, name: str, beside: str) -> bool:
        here, there = self.seen.elements(name), self.seen.elements(beside)
        return here is not None and there is not None and here * _SMALL <= there
