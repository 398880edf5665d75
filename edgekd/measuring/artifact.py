"""Describes a deployable file: hash, sizes and precision."""

import hashlib
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from zstandard import ZstdCompressor

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.files import require_file
from edgekd.measuring.needs import needs
from edgekd.values import Artifact, File, Setting, Variant

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
    lineage: Mapping[str, str] | None = None,
) -> Artifact:
    """The artifact in an ONNX file, with the files of its external data.

    Args:
        path: the .onnx file.
        name: its name in reports.
        runtime: the runtime that runs it.
        precision: its precision; None: determined from the graph.
        settings: runtime settings that differ from the defaults.
        lineage: its origin.

    Raises:
        StorageError: the file, or one that it refers to, can't be read.
        UnsupportedModelError: it isn't an ONNX model, or refers to data outside its folder.
    """
    model = _read(path)
    return Artifact(
        name=name,
        format="onnx",
        variant=Variant(runtime=runtime, precision=precision or _precision(model), settings=dict(settings or {})),
        lineage=dict(lineage or {}),
        needs=needs(model, _nodes(model)),
        **_weighed([path, *_external_files(model, path)]),
    )


def describe_ort(path: Path, onnx_one: Artifact) -> Artifact:
    """The artifact in an `.ort` file, into which an ONNX one of that variant was converted."""
    return Artifact(
        name=onnx_one.name,
        format="ort",
        variant=onnx_one.variant,
        lineage={**onnx_one.lineage, "onnx": onnx_one.files[0].sha256},
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


def _read(path: Path) -> onnx.ModelProto:
    """The model without its external data."""
    hint = "The file may be truncated, or not a model: export or copy it again."
    if path.suffix == ".json":
        hint = "Models are .onnx files. Use `edgekd check` to judge a stored measurement."
    require_file(path, "Give the path of an .onnx file.")
    _refuse_ort(path)
    try:
        # explicit format: otherwise the suffix decides, and the file might be parsed as text
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}", "Give the path of an .onnx file.") from e
    except DecodeError as e:
        raise UnsupportedModelError(f"{path}: isn't an ONNX model", hint) from e
    if not model.graph.node:
        raise UnsupportedModelError(f"{path}: isn't an ONNX model: it has no nodes", hint)
    if path.suffix.lower() == ".ort":  # by which ONNX Runtime chooses the format
        raise UnsupportedModelError(
            f"{path}: is an ONNX model, and .ort is ONNX Runtime's own format", "Call it .onnx."
        )
    return model


def _refuse_ort(path: Path) -> None:
    """Raises UnsupportedModelError for a file in ONNX Runtime's own format, a flat buffer with this identifier."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(8)[4:] == b"ORTM":
            what = f"{path}: is in ONNX Runtime's own format (.ort)"
            raise UnsupportedModelError(what, "Give the .onnx file that it was made from.")


def _external_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """The files with the model's external data, without duplicates."""
    entries = [e for tensor in _tensors(model) for e in tensor.external_data if e.key == "location"]
    found = []
    for location in sorted({entry.value for entry in entries}):
        if PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts:
            raise UnsupportedModelError(
                f"{path}: refers to data outside its folder: {location}", "Save its data in the same folder."
            )
        file = path.parent / location
        if not file.is_file():
            raise StorageError(f"{path}: its data file {location} is missing", "Copy it together with the model.")
        found.append(file)
    return found


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The model's weights, including those in attributes of nodes, functions and subgraphs."""
    sparse = []
    for graph in _graphs(model):
        yield from graph.initializer
        sparse += graph.sparse_initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, including those of functions and subgraphs."""
    for function in model.functions:
        yield from function.node
    for graph in _graphs(model):
        yield from graph.node


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The model's graph and its subgraphs (bodies of loops and branches)."""
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield graph
            nodes += graph.node
        attributes = [attribute for node in nodes for attribute in node.attribute]
        graphs += [a.g for a in attributes if a.HasField("g")] + [g for a in attributes for g in a.graphs]
        nodes = []


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
    if any(node.op_type in _QUANTISED for node in _nodes(model)):
        return "int8"
    counts = dict.fromkeys(_FLOATS.values(), 0)
    for tensor in _tensors(model):
        if tensor.data_type in _FLOATS:
            counts[_FLOATS[tensor.data_type]] += math.prod(tensor.dims)
    return max(counts, key=lambda precision: counts[precision])
