"""The layers of a graph: convolutions and matrix products, with their multiply-accumulates.

A convolution has a product for each element of its output, input channel of its group and place of its kernel; a
transposed one for each element of its *input*. The activations, additions and scales between them don't count.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import onnx

from edgekd.measuring.graph.scopes import Origin, Scope, called, operator
from edgekd.values.inspection import Layer, Shape

_MS = "com.microsoft:"


@dataclass(frozen=True)
class Operator:
    """How an operator multiplies, and which of its inputs is what."""

    kind: Literal["conv", "transposed", "gemm", "matmul", "packed"]
    weight: int = 1
    bias: int | None = None
    integers: bool = False
    """Whether it computes in integers by itself, without Q/DQ pairs around it."""
    dynamic: bool = False
    """Whether it quantises its input by itself, to U8."""


OPERATORS: Mapping[str, Operator] = {
    "Conv": Operator("conv", bias=2),
    "ConvTranspose": Operator("transposed", bias=2),
    "Gemm": Operator("gemm", bias=2),
    "MatMul": Operator("matmul"),
    "ConvInteger": Operator("conv", integers=True),
    "MatMulInteger": Operator("matmul", integers=True),
    "QLinearConv": Operator("conv", 3, 8, integers=True),
    "QLinearMatMul": Operator("matmul", 3, integers=True),
    f"{_MS}QLinearConv": Operator("conv", 3, 8, integers=True),
    f"{_MS}QGemm": Operator("gemm", 3, 6, integers=True),
    f"{_MS}FusedConv": Operator("conv", bias=2),
    f"{_MS}NhwcFusedConv": Operator("conv", bias=2),
    f"{_MS}ConvTransposeWithDynamicPads": Operator("transposed", bias=3),
    f"{_MS}FusedGemm": Operator("gemm", bias=2),
    f"{_MS}FusedMatMul": Operator("matmul"),
    f"{_MS}MatMulIntegerToFloat": Operator("matmul", bias=6, integers=True),
    f"{_MS}DynamicQuantizeMatMul": Operator("matmul", bias=4, integers=True, dynamic=True),
    f"{_MS}MatMulNBits": Operator("packed"),
}
REAL = ("fp16", "fp32", "fp64", "bf16")
_EIGHT_BITS = ("int8", "uint8")
_STORED = re.compile(r"(?:q_output_(?P<nncf>.+)_\d+|(?P<other>.+?)(?:_transposed)?(?:_quantized|_int8|_float))")
"""What quantisers make of the name of a weight: NNCF, ONNX Runtime's and edgekd's."""


def layers(scope: Scope) -> Iterator[tuple[Layer, dict[str, int]]]:
    """The layers of a scope, each with the constants that its parameters are, and how many elements each has."""
    for node in scope.nodes:
        found = OPERATORS.get(operator(node))
        if found is not None and len(node.input) > found.weight and node.output:
            yield _layer(scope, node, found)


def computes_in_int8(layer: Layer) -> bool:
    """Whether its weights and inputs are 8-bit integers."""
    return layer.precision == "int8"


def _layer(scope: Scope, node: onnx.NodeProto, how: Operator) -> tuple[Layer, dict[str, int]]:
    weight, given = scope.origin(node.input[how.weight]), scope.origin(node.input[0])
    weights = f"int{_number(node, 'bits') or 4}" if how.kind == "packed" else weight.dtype or "unknown"
    activations = "uint8" if how.dynamic else given.dtype or "unknown"
    both = how.integers or (weight.quantised and given.quantised)
    held = _held(scope, node, how)
    layer = Layer(
        name=_name(weight, node),
        op=operator(node),
        node=called(node),
        precision=_precision(weights, activations, both=both, computed=scope.dtype(node.input[0])),
        weights=weights,
        activations=activations,
        input=scope.shape(node.input[0]),
        output=scope.shape(node.output[0]),
        parameters=sum(held.values()),
        macs=_macs(scope, node, how),
        within=scope.within,
    )
    return layer, held


def _held(scope: Scope, node: onnx.NodeProto, how: Operator) -> dict[str, int]:
    """The constants that are its weight and bias."""
    indices = [how.weight, *([how.bias] if how.bias is not None and len(node.input) > how.bias else [])]
    origins = [scope.origin(node.input[index]) for index in indices if node.input[index]]
    held = {origin.constant.name: origin.constant.elements for origin in origins if origin.constant is not None}
    if how.kind == "packed":  # several in a byte
        return {name: max(0, _number(node, "K")) * max(0, _number(node, "N")) for name in held}
    return held


def _name(weight: Origin, node: onnx.NodeProto) -> str:
    if weight.constant is None:
        return called(node)
    stored = weight.constant.name
    named = _STORED.fullmatch(stored) if weight.quantised or weight.dtype in _EIGHT_BITS else None
    return (named["nncf"] or named["other"]) if named else stored


def _precision(weights: str, activations: str, *, both: bool, computed: str | None) -> str:
    if not both:
        return computed or (weights if weights in REAL else "unknown")
    if weights in _EIGHT_BITS and activations in _EIGHT_BITS:
        return "int8"
    return f"{weights}/{activations}"


def _macs(scope: Scope, node: onnx.NodeProto, how: Operator) -> int | None:
    """Of one run; None where a shape that decides it isn't known."""
    given, weight = _known(scope.shape(node.input[0])), _known(scope.shape(node.input[how.weight]))
    made = _known(scope.shape(node.output[0]))
    if how.kind == "packed":
        return math.prod(given) * max(0, _number(node, "N")) if given is not None else None
    if how.kind in ("conv", "transposed"):
        per_element = made if how.kind == "conv" else given
        return math.prod(per_element) * math.prod(weight[1:]) if per_element is not None and weight else None
    if made is None:
        return None
    inner = _inner(node, given, weight)
    return math.prod(made) * inner if inner is not None else None


def _inner(node: onnx.NodeProto, left: tuple[int, ...] | None, right: tuple[int, ...] | None) -> int | None:
    """The length of the axis that a matrix product sums over."""
    if left:
        return left[-2 if _number(node, "transA") and len(left) > 1 else -1]
    if right:
        return right[-1 if _number(node, "transB") or len(right) == 1 else -2]
    return None


def _known(shape: Shape | None) -> tuple[int, ...] | None:
    """A shape without open axes."""
    if shape is None or not all(isinstance(axis, int) for axis in shape):
        return None
    return tuple(max(0, axis) for axis in shape if isinstance(axis, int))


def _number(node: onnx.NodeProto, name: str) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), 0)
