"""What a target's TensorRT, or its GPU, is too old for."""

from collections.abc import Iterable, Iterator

from onnx import TensorProto, helper

from edgekd.deploy.preflight.model import Model, called
from edgekd.deploy.preflight.rule import Destination, Rule

_INTEGER_OPERATORS = {
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
    "QGemm",
    "QAttention",
    "QEmbedLayerNormalization",
}
_EIGHT_BIT_FLOATS = {
    TensorProto.FLOAT8E4M3FN,
    TensorProto.FLOAT8E4M3FNUZ,
    TensorProto.FLOAT8E5M2,
    TensorProto.FLOAT8E5M2FNUZ,
}
_FP8_FROM = (8, 9)
_ORIN = "8.7"
_OPSET_OF_TENSORRT_8 = 17


def _integer_operators(model: Model, to: Destination) -> Iterator[str]:
    for scope in model.scopes:
        for node in scope.nodes:
            if node.op_type in _INTEGER_OPERATORS or node.op_type.startswith(("QLinear", "DynamicQuantizeMatMul")):
                yield f"{called(node)} ({node.op_type})"


def _opset(model: Model, to: Destination) -> Iterable[str]:
    return [f"{model.opset}, at most {to.max_opset}"] if to.max_opset and model.opset > to.max_opset else []


def _ir_version(model: Model, to: Destination) -> Iterable[str]:
    if to.max_opset is None:
        return []
    newest = max((row[1] for row in helper.VERSION_TABLE if row[2] <= to.max_opset), default=0)
    return [f"{model.proto.ir_version}, at most {newest}"] if model.proto.ir_version > newest else []


def _fp8(model: Model, to: Destination) -> Iterable[str]:
    if to.compute_capability is None or _numbers(to.compute_capability) >= _FP8_FROM:
        return []
    return (
        f"{called(node)} (compute capability {to.compute_capability})"
        for scope in model.scopes
        for node in scope.pairs
        if scope.integer(node) in _EIGHT_BIT_FLOATS
    )


def _int8_on_10_3(model: Model, to: Destination) -> Iterable[str]:
    if not any(scope.integer(node) == TensorProto.INT8 for scope in model.scopes for node in scope.pairs):
        return []
    if to.version is None:
        may = to.compute_capability == _ORIN and (to.max_opset is None or to.max_opset > _OPSET_OF_TENSORRT_8)
        return ["if the device has JetPack 6.1 or 6.2"] if may else []
    return [f"the device has {to.version}"] if _numbers(to.version)[:2] == (10, 3) else []


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


RULES = (
    Rule(
        "integer-operators",
        "error",
        "TensorRT has no operators on integers but Q/DQ pairs",
        "Quantise with QuantizeLinear and DequantizeLinear, with fixed scales (in ONNX Runtime's quantiser: "
        "quantize_static with QuantFormat.QDQ).",
        _integer_operators,
    ),
    Rule(
        "opset",
        "error",
        "the opset is newer than the target's TensorRT reads",
        "Export in a lower opset, or install a newer TensorRT on the device and state its opset in the target.",
        _opset,
    ),
    Rule(
        "ir-version",
        "warning",
        "the IR version is newer than the target's TensorRT knows",
        "Set the model's ir_version to that and save it again; TensorRT fails where the file uses what is new.",
        _ir_version,
    ),
    Rule(
        "fp8",
        "error",
        "the GPU has no FP8, which takes compute capability 8.9",
        "Quantise to S8.",
        _fp8,
    ),
    Rule(
        "int8-on-10.3",
        "warning",
        "TensorRT 10.3 is known to fail at building some INT8 engines",
        "Install TensorRT 10.7 or later on the device if the build fails there.",
        _int8_on_10_3,
    ),
)
