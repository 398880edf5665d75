"""Counts a model in ncnn's format: layers as text in NAME.param, weights in NAME.bin."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.errors import UnsupportedModelError
from edgekd.files import sha256
from edgekd.measuring import ncnn_file
from edgekd.measuring.graph.ncnn_shapes import Shape, integer, shapes
from edgekd.runtimes import ncnn
from edgekd.values.inspection import ExternalFile, Inspection, Layer, NotCounted, Tensor, Totals

_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise")
_TRANSPOSED = ("Deconvolution", "DeconvolutionDepthWise")
_LAYERS = (*_CONVOLUTIONS, *_TRANSPOSED, "InnerProduct")
_MULTIPLY = (
    *("Convolution1D", "ConvolutionDepthWise1D", "Convolution3D", "ConvolutionDepthWise3D", "Deconvolution1D"),
    *("DeconvolutionDepthWise1D", "Deconvolution3D", "DeconvolutionDepthWise3D", "DeformableConv2D", "Einsum"),
    *("Embed", "GRU", "Gemm", "LSTM", "MatMul", "MultiHeadAttention", "RNN", "SDPA"),
)
_INT8_SCALES = 8
_NO_SHAPE, _NOT_HERE = "the shapes that decide it are not known", "edgekd does not count this layer"


def inspect_ncnn(path: Path) -> Inspection:
    """What is in a .param file; its weights are not read.

    Raises:
        StorageError: a file can't be read, or the .bin file is missing.
        UnsupportedModelError: it isn't a .param file.
    """
    stored, weights = ncnn_file.precision(path), ncnn_file.weights(path)
    try:
        layers = ncnn.layers(str(path))
        known, inputs = shapes(layers), ncnn.inputs_of(layers)
        listed = tuple(_layer(layer, known, stored) for layer in layers if layer.kind in _LAYERS)
        parameters = sum(map(_parameters, layers))
    except (ValueError, IndexError) as e:
        raise UnsupportedModelError(f"{path}: isn't one of ncnn's .param files: {e}", "Export or copy it again.") from e
    operators = Counter(layer.kind for layer in layers)
    bytes_beside = weights.stat().st_size
    return Inspection(
        file=path.name,
        sha256=sha256(path),
        format="ncnn",
        inputs=tuple(Tensor(name=one["name"], dtype="fp32", shape=tuple(one["shape"])) for one in inputs),
        outputs=tuple(
            Tensor(name=name, dtype="fp32", shape=(1, *known[name]) if name in known else None)
            for name in ncnn.outputs_of(layers)
        ),
        dynamic=any(None in one["shape"] for one in inputs),
        layers=listed,
        operators=dict(sorted(operators.items(), key=lambda item: (-item[1], item[0]))),
        totals=Totals(
            nodes=len(layers),
            parameters=parameters,
            macs=sum(layer.macs or 0 for layer in listed),
            int8_macs=sum(layer.macs or 0 for layer in listed if layer.precision == "int8"),
            file_bytes=path.stat().st_size,
            external_bytes=bytes_beside,
        ),
        not_counted=_not_counted(operators, listed),
        external=(ExternalFile(path=weights.name, bytes=bytes_beside),),
    )


def _layer(layer: ncnn.Layer, known: Mapping[str, Shape], stored: str) -> Layer:
    given, made = (known.get(names[0]) if names else None for names in (layer.bottoms, layer.tops))
    integers = layer.kind not in _TRANSPOSED and integer(layer, _INT8_SCALES, 0) > 0
    floats = "fp16" if stored == "fp16" else "fp32"
    return Layer(
        name=layer.name,
        op=layer.kind,
        node=layer.name,
        precision="int8" if integers else floats,
        weights="int8" if integers else floats,
        activations="int8" if integers else floats,
        input=(1, *given) if given else None,
        output=(1, *made) if made else None,
        parameters=_parameters(layer),
        macs=_macs(layer, given, made),
    )


def _parameters(layer: ncnn.Layer) -> int:
    """Its weights and bias; 0 for a layer of another kind without any, or of which it isn't known."""
    if layer.kind not in (*_LAYERS, "Scale", "BatchNorm", "PReLU"):
        return 0
    first = max(0, integer(layer, 0, 0))
    if layer.kind in (*_CONVOLUTIONS, *_TRANSPOSED):
        return max(0, integer(layer, 6, 0)) + (first if integer(layer, 5, 0) else 0)
    if layer.kind == "InnerProduct":
        return max(0, integer(layer, 2, 0)) + (first if integer(layer, 1, 0) else 0)
    if layer.kind == "Scale":
        return first * (2 if integer(layer, 1, 0) else 1)
    return 4 * first if layer.kind == "BatchNorm" else first


def _macs(layer: ncnn.Layer, given: Shape | None, made: Shape | None) -> int | None:
    if layer.kind == "InnerProduct":
        rows = given[0] if given and len(given) == 2 else 1
        return max(0, integer(layer, 2, 0)) * rows if given else None
    places = given if layer.kind in _TRANSPOSED else made
    return math.prod(places[1:]) * max(0, integer(layer, 6, 0)) if places else None


def _not_counted(operators: Counter[str], listed: Sequence[Layer]) -> tuple[NotCounted, ...]:
    unknown = Counter(layer.op for layer in listed if layer.macs is None)
    here = [NotCounted(op=name, nodes=nodes, why=_NO_SHAPE) for name, nodes in sorted(unknown.items())]
    others = [NotCounted(op=name, nodes=operators[name], why=_NOT_HERE) for name in _MULTIPLY if name in operators]
    return (*here, *others)
