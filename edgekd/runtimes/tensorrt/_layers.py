"""The layers of an engine as TensorRT's inspector reports them: what they are, what they compute in."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

GPU, DLA = "TensorRT", "TensorRT DLA"
"""What of TensorRT runs a layer, or most of a network."""

_PRODUCT = re.compile("conv|gemm|matrixmultiply|fullyconnected|correlation", re.I)
_LAYOUT = ("Reformat", "Shuffle", "Transpose", "NoOp")
_CONVERSION = ("Quantize", "Dequantize", "Cast")
_TYPES = (
    ("int8", re.compile(r"\bu?int8\b", re.I)),
    ("bf16", re.compile(r"\bbf(?:loat)?16\b", re.I)),
    ("fp16", re.compile(r"\b(?:fp16|half)\b", re.I)),
    ("fp8", re.compile(r"\bfp8\b", re.I)),
    ("fp32", re.compile(r"\b(?:fp32|float)\b", re.I)),
)


def nodes(trt: Any, engine: Any, runs: Sequence[Mapping[str, float]]) -> list[dict[str, Any]]:
    """The fields of `values.Node` of every layer that ran, in the engine's order.

    Args:
        trt: TensorRT's module.
        engine: the engine.
        runs: milliseconds of each layer by name, of each inference.
    """
    known = dict(_reported(trt, engine))
    names = dict.fromkeys([*known, *(name for run in runs for name in run)])
    return [
        {"name": name, "ms": sum(run.get(name, 0.0) for run in runs) / len(runs), **_described(known.get(name, {}))}
        for name in names
        if any(name in run for run in runs)
    ]


def _reported(trt: Any, engine: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What the inspector reports of each layer, by its name."""
    inspector = engine.create_engine_inspector()
    for i in range(engine.num_layers):
        try:
            layer = json.loads(inspector.get_layer_information(i, trt.LayerInformationFormat.JSON))
        except ValueError:  # such as a name with characters that JSON must escape
            continue
        if isinstance(layer, dict) and "Name" in layer:
            yield layer["Name"], layer


def _described(layer: Mapping[str, Any]) -> dict[str, Any]:
    op = str(layer.get("LayerType") or "layer")
    taken, made = (_types_of(layer.get(side) or ()) for side in ("Inputs", "Outputs"))
    on_dla = "dla" in op.lower()
    return {
        "op": op,
        "provider": DLA if on_dla else GPU,
        "kind": _kind(op, taken, made),
        # a product of integers may give floats
        "precision": next(iter(taken or made), None),
        "kernel": layer.get("TacticName") or None,
    }


def _kind(op: str, taken: Sequence[str], made: Sequence[str]) -> str | None:
    if _PRODUCT.search(op):
        return "product"
    if op in _CONVERSION or (op in _LAYOUT and taken[:1] != made[:1]):
        return "conversion"
    return "layout" if op in _LAYOUT else None


def _types_of(tensors: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tensors are of, as edgekd calls it: up to TensorRT 10 in words such as "Row major linear FP32"."""
    texts = [str(tensor.get("Datatype") or tensor.get("Format/Datatype") or "") for tensor in tensors]
    return [next((name for name, words in _TYPES if words.search(text)), text or "unknown") for text in texts]
