"""What TensorRT takes of Q/DQ pairs. Source: TensorRT's documentation, "Explicit Quantization", and its ONNX parser."""

from collections.abc import Iterator

import onnx
from onnx import TensorProto, numpy_helper

from edgekd.deploy.preflight.model import DEQUANTISE, QUANTISE, Model, called
from edgekd.deploy.preflight.rule import Destination, Rule
from edgekd.deploy.quantise.view import attribute

_CONVOLUTIONS = ("Conv", "ConvTranspose")
_FUSED = ("Relu", "Clip", "LeakyRelu")
"""Activations that TensorRT computes within the convolution before them."""
_SYMMETRIC = "Quantise symmetrically, to S8 with zero point 0 (in ONNX Runtime's quantiser: ActivationSymmetric=True)."


def _zero_points(model: Model, to: Destination) -> Iterator[str]:
    for scope in model.scopes:
        for node in scope.pairs:
            zero = scope.zero_point(node)
            if zero is not None and _isnt_zero(zero):
                yield called(node)
            elif zero is None and len(node.input) > 2 and node.input[2]:
                yield f"{called(node)} (computed)"


def _isnt_zero(zero: TensorProto) -> bool:
    outside = zero.data_location == TensorProto.EXTERNAL
    try:
        # ONNX's float8 and int4 come as numpy types of ml_dtypes
        return not outside and bool((numpy_helper.to_array(zero).astype("float32") != 0).any())
    except ValueError:  # a damaged one
        return True


def _unsigned(model: Model, to: Destination) -> Iterator[str]:
    """Those with another zero point are refused, and so are no silent error."""
    refused = {*_zero_points(model, to)}
    return (place for place in _typed(model, TensorProto.UINT8) if place not in refused)


def _sixteen_bits(model: Model, to: Destination) -> Iterator[str]:
    return _typed(model, TensorProto.INT16, TensorProto.UINT16)


def _integer_biases(model: Model, to: Destination) -> Iterator[str]:
    return _typed(model, TensorProto.INT32)


def _typed(model: Model, *types: int) -> Iterator[str]:
    return (called(node) for scope in model.scopes for node in scope.pairs if scope.integer(node) in types)


def _weight_axes(model: Model, to: Destination) -> Iterator[str]:
    for scope in model.scopes:
        for node in scope.nodes:
            wanted = _output_channels(node) if len(node.input) > 1 else None
            pair = scope.dequantised(node.input[1]) if wanted is not None else None
            if pair is None or (weight := scope.weight(pair)) is None:
                continue
            if scope.per_channel(pair) and (found := _axis(pair, len(weight.dims))) != wanted:
                yield f"{called(node)} (axis {found}, not {wanted})"


def _output_channels(node: onnx.NodeProto) -> int | None:
    """The axis of a layer's output channels in its weight; None for what has none."""
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type)


def _axis(node: onnx.NodeProto, rank: int) -> int:
    stated = int(attribute(node, "axis", 1))
    return stated + rank if stated < 0 else stated


def _channels_of_activations(model: Model, to: Destination) -> Iterator[str]:
    for scope in model.scopes:
        for node in scope.pairs:
            if scope.per_channel(node) and scope.weight(node) is None:
                yield called(node)


def _before_activations(model: Model, to: Destination) -> Iterator[str]:
    for scope in model.scopes:
        for node in scope.pairs:
            if node.op_type != QUANTISE or scope.maker(node.input[0]) not in _CONVOLUTIONS:
                continue
            floats = [pair.output[0] for pair in scope.readers(node.output[0]) if pair.op_type == DEQUANTISE]
            if any(reader.op_type in _FUSED for name in floats for reader in scope.readers(name)):
                yield called(node)


RULES = (
    Rule(
        "zero-point",
        "error",
        "TensorRT refuses zero points other than a constant 0",
        _SYMMETRIC,
        _zero_points,
    ),
    Rule(
        "uint8",
        "error",
        "TensorRT reads U8 as S8, so values above 127 are clipped and the outputs are wrong",
        "Quantise to S8 (in ONNX Runtime's quantiser: QInt8 for activations and weights, ActivationSymmetric=True).",
        _unsigned,
    ),
    Rule(
        "int16",
        "error",
        "TensorRT has no 16-bit quantisation",
        "Quantise to S8, or leave these values in floating point.",
        _sixteen_bits,
    ),
    Rule(
        "int32-bias",
        "error",
        "TensorRT refuses int32 values behind DequantizeLinear",
        'Keep biases in floating point (in ONNX Runtime\'s quantiser: extra_options={"QuantizeBias": False}).',
        _integer_biases,
    ),
    Rule(
        "weight-axis",
        "error",
        "TensorRT documents scales of weights along their output channels alone",
        "Quantise weights along axis 0 (of ConvTranspose, and of Gemm without transB, axis 1), or with one scale.",
        _weight_axes,
    ),
    Rule(
        "activation-channels",
        "error",
        "TensorRT documents one scale for each activation, and these have one for each channel",
        "Quantise activations with one scale; per channel only weights.",
        _channels_of_activations,
    ),
    Rule(
        "between-conv-and-relu",
        "warning",
        "a quantisation between a convolution and its activation keeps TensorRT from fusing them",
        "Quantise the inputs of convolutions, and not their outputs.",
        _before_activations,
    ),
)
