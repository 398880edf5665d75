"""Refuses ONNX files of which no variants can be made, each with its reason."""

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from edgekd import onnx_file
from edgekd.deploy.quantise.simplify import opset
from edgekd.errors import UnsupportedModelError

QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
_QUANTISED_STARTS = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger")
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
_CONTROL = ("If", "Loop", "Scan")
_OF_VALUES = ("NonMaxSuppression", "NonZero", "Unique", "Compress")
_OTHER_FLOATS = {TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16", TensorProto.DOUBLE: "float64"}
_LARGEST = 2_000_000_000
"""Bytes of weights: a protobuf holds 2 GiB, and the rest of the file needs some of them."""
_PROFILE = "`edgekd profile` measures it as it is."


def require_usable(model: onnx.ModelProto, path: Path) -> None:
    """Raise if variants can't be made of a model.

    Args:
        model: without its external data.
        path: its file, for messages and its external data.

    Raises:
        UnsupportedModelError: it is quantised, of another floating-point type, too large, has operators of the user's
            own, control flow, or weights that aren't finite.
    """
    for why, hint in chain(_opset(model), _operators(model), _types(model), _size(model)):
        raise UnsupportedModelError(f"{path}: {why}", hint)
    for why, hint in _weights(model, path):
        raise UnsupportedModelError(f"{path}: {why}", hint)


def _opset(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    known = onnx.defs.onnx_opset_version()
    if (found := opset(model)) > known:
        hint = f"Install a newer one (pip install -U onnx), or export the model again with opset {known} or lower."
        yield f"has opset {found}, and onnx {onnx.__version__} on this machine reads up to opset {known}", hint


def _operators(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    functions = {(function.domain, function.name) for function in model.functions}
    for node in onnx_file.nodes(model):
        called = f"{node.op_type} {node.name!r}" if node.name else node.op_type
        if node.op_type in QUANTISED or node.op_type.startswith(_QUANTISED_STARTS):
            yield (
                f"is quantised already ({called})",
                f"Give the fp32 file that it was made from. {_PROFILE}",
            )
        if (node.domain, node.op_type) not in functions and node.domain not in _DOMAINS:
            what = f"has an operator that isn't ONNX's own: {node.domain}::{called}"
            yield what, f"Export the model with ONNX's operators alone. {_PROFILE}"
        if node.op_type in _CONTROL and node.domain in ("", "ai.onnx"):
            what = f"has control flow ({called}), which can't be calibrated or converted to fp16"
            yield what, f"Export the model without it, for example without its post-processing. {_PROFILE}"
        if node.op_type in _OF_VALUES and node.domain in ("", "ai.onnx"):
            what = f"the shapes of its values depend on the image ({called}), so outputs can't be compared"
            yield what, "Export the model without its post-processing, such as non-maximum suppression."


def _types(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    counts: dict[int, int] = {}
    for tensor in onnx_file.tensors(model):
        counts[tensor.data_type] = counts.get(tensor.data_type, 0) + math.prod(tensor.dims)
    floats = counts.get(TensorProto.FLOAT, 0)
    for value in model.graph.input:
        if (kind := value.type.tensor_type.elem_type) in _OTHER_FLOATS:
            yield f"its input {value.name!r} is {_OTHER_FLOATS[kind]}", _fp32_instead(_OTHER_FLOATS[kind])
    for kind, name in _OTHER_FLOATS.items():
        if counts.get(kind, 0) > floats:
            yield f"its weights are {name}", _fp32_instead(name)


def _fp32_instead(name: str) -> str:
    if name == "float64":
        return "Export the model in float32, such as after model.float() in PyTorch."
    return "Give the fp32 file that it was made from: precision that is lost doesn't come back."


def _size(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    sizes = (math.prod(t.dims) * _item_bytes(t.data_type) for t in onnx_file.tensors(model))
    if (total := sum(sizes)) > _LARGEST:
        what = f"its weights take {total / 1e9:.1f} GB, and the files of variants hold at most 2 GB"
        yield what, f"Use a smaller model: edgekd is for small devices. {_PROFILE}"


def _item_bytes(kind: int) -> int:
    if kind in (TensorProto.UNDEFINED, TensorProto.STRING):
        return 0
    return int(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)).itemsize)


def _weights(model: onnx.ModelProto, path: Path) -> Iterator[tuple[str, str]]:
    for tensor in onnx_file.tensors(model):
        if tensor.data_type != TensorProto.FLOAT or _may_be_infinite(tensor):
            continue
        values = numpy_helper.to_array(tensor, str(path.parent))
        if not np.isfinite(values).all():
            odd = "NaN" if np.isnan(values).any() else "infinity"
            hint = "The training may have diverged, or the file is damaged: export the model again."
            yield f"its weight {tensor.name or 'of a constant'!r} has {odd}", hint


def _may_be_infinite(tensor: onnx.TensorProto) -> bool:
    """Whether it is a single number, such as the bound of a Clip or the start of a maximum."""
    return bool(math.prod(tensor.dims) <= 1)
