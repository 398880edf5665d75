"""Counts an ONNX file."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import onnx.inliner

from edgekd import onnx_file
from edgekd.files import sha256
from edgekd.measuring import stated
from edgekd.measuring.graph.layers import OPERATORS, REAL, computes_in_int8, layers
from edgekd.measuring.graph.scopes import DEQUANTISE, QUANTISE, Scope, dtype_of, operator, scopes
from edgekd.measuring.graph.shapes import shape_of, shaped
from edgekd.values.inspection import ExternalFile, Inspection, Layer, NotCounted, Tensor, Totals

_MS = "com.microsoft:"
_MULTIPLY = (
    *("Attention", "CausalConvWithState", "DFT", "DeformConv", "Einsum"),
    *("GRU", "LSTM", "LinearAttention", "RNN", "STFT"),
)
"""ONNX's own operators that multiply too."""
_WITHOUT = tuple(
    f"{_MS}{name}"
    for name in (
        *("BiasGelu", "DequantizeLinear", "FastGelu", "Gelu", "NhwcMaxPool", "QLinearAdd", "QLinearAveragePool"),
        *("QLinearConcat", "QLinearGlobalAveragePool", "QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid"),
        *("QLinearSoftmax", "QuantizeLinear", "QuickGelu", "ReorderInput", "ReorderOutput"),
        *("SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"),
    )
)
"""ONNX Runtime's operators without products of matrices."""
_LIMITS = {"Resize": (1, 2), "Upsample": (1,), QUANTISE: (1, 2), DEQUANTISE: (1, 2)}
"""Inputs that are scales or regions, not weights."""

_NO_SHAPE = "the shapes that decide it are not known"
_IN_BODY = "in the body of an If, Loop or Scan, where it is not known how often it runs"
_NOT_HERE = "edgekd does not count this operator"


def inspect_file(path: Path) -> Inspection:
    """What is in an ONNX file; external data is not read.

    Raises:
        StorageError: the file can't be read.
        UnsupportedModelError: it isn't an ONNX model.
    """
    model = onnx_file.read(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(_tensor(value) for value in model.graph.input if value.name not in constants)
    outputs = tuple(_tensor(value) for value in model.graph.output)
    external = tuple(_external(location, path) for location in onnx_file.locations(model))
    plain = _without_functions(model)
    found = shaped(plain)
    parts = scopes(plain.graph)
    each = [pair for scope in parts for pair in layers(scope)]
    listed = tuple(layer for layer, _ in each)
    counted = [layer for layer in listed if layer.macs is not None and layer.within is None]
    operators = Counter(operator(node) for scope in parts for node in scope.nodes)
    return Inspection(
        file=path.name,
        sha256=sha256(path),
        format="onnx",
        ir_version=model.ir_version,
        opsets={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        metadata=stated.metadata(model),
        feeding=stated.feeding(model),
        lineage=stated.lineage(model),
        unreadable=stated.unreadable(model),
        inputs=inputs,
        outputs=outputs,
        dynamic=any(not isinstance(axis, int) for one in inputs for axis in one.shape or ()),
        counted_for=dict(found.counted_for),
        layers=listed,
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        totals=Totals(
            nodes=operators.total(),
            parameters=sum(_parameters(parts, [held for _, held in each]).values()),
            macs=sum(layer.macs or 0 for layer in counted),
            int8_macs=sum(layer.macs or 0 for layer in counted if computes_in_int8(layer)),
            file_bytes=path.stat().st_size,
            external_bytes=sum(one.bytes or 0 for one in external),
        ),
        not_counted=tuple(_not_counted(operators, listed)),
        shapes_failed=found.failed,
        external=external,
    )


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the bodies of its functions in place of their calls, where ONNX can put them there."""
    if not model.functions:
        return model
    try:
        inlined: onnx.ModelProto = onnx.inliner.inline_local_functions(model)
    except Exception:  # whatever a graph that is new to it ends in: the calls count as operators that aren't known
        return model
    return inlined


def _tensor(value: onnx.ValueInfoProto) -> Tensor:
    return Tensor(name=value.name, dtype=dtype_of(value) or "unknown", shape=shape_of(value))


def _external(location: str, path: Path) -> ExternalFile:
    size = None
    if not onnx_file.is_outside(location):
        try:
            size = os.stat(path.parent / location).st_size  # noqa: PTH116 - a name may be none of a file
        except (OSError, ValueError):
            size = None
    return ExternalFile(path=location, bytes=size)


def _parameters(parts: Sequence[Scope], held: Sequence[dict[str, int]]) -> dict[str, int]:
    """The elements of every weight, by the name of the constant."""
    found: dict[str, int] = {}
    for scope in parts:
        for node in scope.nodes:
            for index, name in enumerate(node.input):
                constant = scope.constants.get(name)
                if constant is not None and constant.elements > 1 and _is_weight(node, index, constant.dtype):
                    found[name] = constant.elements
    for layer in held:
        found |= layer
    return found


def _is_weight(node: onnx.NodeProto, index: int, dtype: str) -> bool:
    """Whether a constant of that type is a weight as this input of a node. Those of layers in integers are known."""
    how = OPERATORS.get(operator(node))
    if how is not None and (how.integers or how.kind == "packed"):
        return False
    if index in _LIMITS.get(node.op_type, ()) or node.op_type.startswith("QLinear"):
        return False
    return dtype in REAL or node.op_type == DEQUANTISE


def _not_counted(operators: Counter[str], listed: Sequence[Layer]) -> Iterator[NotCounted]:
    """What multiplies, and isn't in the total."""
    whys = Counter(
        (layer.op, _IN_BODY if layer.within is not None else _NO_SHAPE)
        for layer in listed
        if layer.within is not None or layer.macs is None
    )
    for name, nodes in operators.items():
        if name in _MULTIPLY or (":" in name and name not in OPERATORS and name not in _WITHOUT):
            whys[name, _NOT_HERE] = nodes
    for (name, why), nodes in sorted(whys.items()):
        yield NotCounted(op=name, nodes=nodes, why=why)
