"""ONNX's operators in the places of those of ONNX Runtime that have the same shapes, so that those can be inferred."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx

DOMAIN = "com.microsoft"
_WINDOW = ("kernel_shape", "strides", "pads", "dilations", "group", "auto_pad", "ceil_mode")
_TO_FIRST, _TO_LAST = [0, 3, 1, 2], [0, 2, 3, 1]


@dataclass(frozen=True)
class _Like:
    """An operator of ONNX, which inputs it takes of the other one, and which attributes."""

    op: str
    inputs: tuple[int, ...] = (0,)
    attributes: tuple[str, ...] = ()
    makes_floats: bool = False
    """Whether its outputs are float32 whatever its inputs are."""


_SAME_SHAPE: Mapping[str, _Like] = {
    "FusedConv": _Like("Conv", (0, 1), _WINDOW),
    "NhwcFusedConv": _Like("Conv", (0, 1), _WINDOW),
    "QLinearConv": _Like("Conv", (0, 3), _WINDOW),
    "NhwcMaxPool": _Like("MaxPool", (0,), _WINDOW),
    "QLinearAveragePool": _Like("AveragePool", (0,), _WINDOW),
    "QLinearGlobalAveragePool": _Like("GlobalAveragePool"),
    "FusedGemm": _Like("Gemm", (0, 1), ("transA", "transB")),
    "QGemm": _Like("Gemm", (0, 3), ("transA", "transB")),
    "MatMulIntegerToFloat": _Like("MatMul", (0, 1), makes_floats=True),
    "DynamicQuantizeMatMul": _Like("MatMul", (0, 1)),
    "QLinearAdd": _Like("Add", (0, 3)),
    "QLinearMul": _Like("Mul", (0, 3)),
    **dict.fromkeys(("QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"), _Like("Identity")),
    **dict.fromkeys(("Gelu", "FastGelu", "QuickGelu", "BiasGelu"), _Like("Identity")),
    "QuantizeLinear": _Like("QuantizeLinear", (0, 1, 2), ("axis",)),
    "DequantizeLinear": _Like("DequantizeLinear", (0, 1, 2), ("axis",)),
}
_CHANNELS_LAST = ("NhwcFusedConv", "NhwcMaxPool")


def readable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with ONNX's operators, as far as there are any of the same shape."""
    if not any(node.domain == DOMAIN for node in model.graph.node):
        return model
    found = onnx.ModelProto()
    found.CopyFrom(model)
    nodes = list(found.graph.node)
    del found.graph.node[:]
    found.graph.node.extend(made for node in nodes for made in _replaced(node))
    return found


def _replaced(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    like = _SAME_SHAPE.get(node.op_type) if node.domain == DOMAIN else None
    if like is None or not node.input or len(node.output) != 1:
        yield node
        return
    given, made = [node.input[index] for index in like.inputs if index < len(node.input)], node.output[0]
    stated = {attribute.name: attribute for attribute in node.attribute}
    last = node.op_type in _CHANNELS_LAST or ("channels_last" in stated and stated["channels_last"].i == 1)
    inner = f"{made}_as_in_onnx" if last or like.makes_floats else made
    if last:
        yield onnx.helper.make_node("Transpose", [given[0]], [f"{inner}_input"], perm=_TO_FIRST)
        given[0] = f"{inner}_input"
    same = onnx.helper.make_node(like.op, given, [inner])
    same.attribute.extend(stated[name] for name in like.attributes if name in stated)
    yield same
    if last:
        yield onnx.helper.make_node("Transpose", [inner], [made], perm=_TO_LAST)
    elif like.makes_floats:
        yield onnx.helper.make_node("Cast", [inner], [made], to=onnx.TensorProto.FLOAT)
