"""Describes a deployable file: hash, sizes and precision."""

import hashlib
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from zstandard import ZstdCompressor

from edgekd import onnx_file
from edgekd.measuring import ncnn_file, stated
from edgekd.measuring.needs import needs
from edgekd.values import Artifact, File, Lineage, Setting, Variant

_GZIP_LEVEL = 6  # gzip's own default
_ZSTD_LEVEL = 9  # higher levels take much longer and hardly make weights smaller
_GZIP_HEADER = 16 + zlib.MAX_WBITS
_PIECE = 1 << 20

_QUANTISED = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"}

_FLOATS: dict[int, str] = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.FLOAT16: "fp16",
    onnx.TensorProto.BFLOAT16: "bf16",
}


def describe(
    path: Path,
    *,
    name: str,
    runtime: str,
    precision: str | None = None,
    settings: Mapping[str, Setting] | None = None,
) -> Artifact:
    """The artifact in an ONNX file, with the files of its external data, or in ncnn's two files.

    Args:
        path: the .onnx or .param file.
        name: its name in reports.
        runtime: the runtime that runs it.
        precision: its precision; None: determined from the graph.
        settings: runtime settings that differ from the defaults.

    Raises:
        StorageError: the file, or one that it refers to, can't be read.
        UnsupportedModelError: it isn't a model of either format, or refers to data outside its folder.
    """
    if ncnn_file.is_ncnn(path):
        files = [path, ncnn_file.weights(path)]
        found, needed, format = ncnn_file.precision(path), None, "ncnn"
        lineage = None
    else:
        model = onnx_file.read(path)
        found, needed, format = _precision(model), needs(model, onnx_file.nodes(model)), "onnx"
        files, lineage = [path, *onnx_file.external_files(model, path)], stated.lineage(model)
    return Artifact(
        name=name,
        format=format,
        variant=Variant(runtime=runtime, precision=precision or found, settings=dict(settings or {})),
        lineage=lineage,
        needs=needed,
        **_weighed(files),
    )


def describe_ort(path: Path, onnx_one: Artifact) -> Artifact:
    """The artifact in an `.ort` file, into which an ONNX one of that variant was converted."""
    return Artifact(
        name=onnx_one.name,
        format="ort",
        variant=onnx_one.variant,
        lineage=(onnx_one.lineage or Lineage()).model_copy(update={"onnx": onnx_one.files[0].sha256}),
        **_weighed([path]),
    )


def _weighed(paths: Sequence[Path]) -> dict[str, Any]:
    """An artifact's files, and what they weigh together."""
    weighed = [_weigh(file) for file in paths]
    return {
        "files": tuple(File(path=file, sha256=one.sha256) for file, one in zip(paths, weighed, strict=True)),
        "disk_bytes": sum(one.disk_bytes for one in weighed),
        "transfer_bytes": sum(one.gzip_bytes for one in weighed),
        "zstd_bytes": sum(one.zstd_bytes for one in weighed),
    }


@dataclass(frozen=True)
class _Weighed:
    sha256: str
    disk_bytes: int
    gzip_bytes: int
    zstd_bytes: int


def _weigh(path: Path) -> _Weighed:
    """A file's SHA-256, and its size uncompressed, with gzip and with zstd."""
    sha256, on_disk, gzipped, zstd = hashlib.sha256(), 0, 0, 0
    gzip = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_HEADER)
    zstandard = ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            sha256.update(piece)
            on_disk += len(piece)
            gzipped += len(gzip.compress(piece))
            zstd += len(zstandard.compress(piece))
    gzipped += len(gzip.flush())
    zstd += len(zstandard.flush())
    return _Weighed(sha256.hexdigest(), on_disk, gzipped, zstd)


def _precision(model: onnx.ModelProto) -> str:
    """A model's precision: int8 if it has quantised nodes, otherwise the type of most of its weights, whether they are
    initializers or constants.
    """
    if any(node.op_type in _QUANTISED for node in onnx_file.nodes(model)):
        return "int8"
    counts = dict.fromkeys(_FLOATS.values(), 0)
    for tensor in onnx_file.tensors(model):
        if tensor.data_type in _FLOATS:
            counts[_FLOATS[tensor.data_type]] += math.prod(tensor.dims)
    return max(counts, key=lambda precision: counts[precision])
