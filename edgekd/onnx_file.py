"""Reads ONNX files, without their external data."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from edgekd.errors import StorageError, UnsupportedModelError
from edgekd.files import require_file

_LARGEST = 2**31 - 1  # of a protobuf
_OTHERS = (".engine", ".plan", ".pt", ".pth", ".safetensors", ".tflite", ".xml")


def read(path: Path) -> onnx.ModelProto:
    """The model without its external data."""
    hint = _hint(path)
    require_file(path, "Give the path of an .onnx file.")
    _refuse_ort(path)
    if path.stat().st_size > _LARGEST:
        what = f"{path}: is larger than 2 GB, which no ONNX file can be without external data"
        raise UnsupportedModelError(what, "Save the model with its weights as external data.")
    try:
        # explicit format: otherwise the suffix decides, and the file might be parsed as text
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}", "Give the path of an .onnx file.") from e
    except DecodeError as e:
        raise UnsupportedModelError(f"{path}: isn't an ONNX model", hint) from e
    if not model.graph.node:
        raise UnsupportedModelError(f"{path}: isn't an ONNX model: it has no nodes", hint)
    if not all(isinstance(name, str) for name in _names(model)):
        raise UnsupportedModelError(f"{path}: is damaged: a name in it isn't UTF-8 text", hint)
    if path.suffix.lower() == ".ort":  # by which ONNX Runtime chooses the format
        raise UnsupportedModelError(
            f"{path}: is an ONNX model, and .ort is ONNX Runtime's own format", "Rename it to .onnx."
        )
    return model


def _hint(path: Path) -> str:
    """What to do where it isn't a model."""
    if path.suffix == ".json":
        return "Models are .onnx files. Use `edgekd check` to judge a stored measurement."
    if path.suffix.lower() in _OTHERS:
        return f"{path.suffix} is another format: give the .onnx file, which `edgekd export` writes."
    return "The file may be truncated, or not a model: export or copy it again."


def _refuse_ort(path: Path) -> None:
    """Raises UnsupportedModelError for a file in ONNX Runtime's own format, a flat buffer with this identifier."""
    with suppress(OSError), path.open("rb") as file:
        if file.read(8)[4:] == b"ORTM":
            what = f"{path}: is in ONNX Runtime's own format (.ort)"
            raise UnsupportedModelError(what, "Give the .onnx file that it was made from.")


def _names(model: onnx.ModelProto) -> Iterator[object]:
    """What the model calls things; protobuf gives those that aren't UTF-8 as bytes."""
    yield from (model.producer_name, model.producer_version, *(entry.domain for entry in model.opset_import))
    yield from (text for entry in model.metadata_props for text in (entry.key, entry.value))
    for node in nodes(model):
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for graph in graphs(model):
        for value in (*graph.input, *graph.output, *graph.value_info):
            yield from (value.name, *(axis.dim_param for axis in value.type.tensor_type.shape.dim))
    for tensor in tensors(model):
        yield from (tensor.name, *(text for entry in tensor.external_data for text in (entry.key, entry.value)))


def external_files(model: onnx.ModelProto, path: Path) -> list[Path]:
    """The files with the model's external data, without duplicates."""
    found = []
    for location in locations(model):
        if is_outside(location):
            raise UnsupportedModelError(
                f"{path}: refers to data outside its folder: {location}", "Save its data in the same folder."
            )
        file = path.parent / location
        if not file.is_file():
            raise StorageError(f"{path}: its data file {location} is missing", "Copy it together with the model.")
        found.append(file)
    return found


def locations(model: onnx.ModelProto) -> list[str]:
    """Where the model says that its external data is, relative to its folder."""
    return sorted({e.value for tensor in tensors(model) for e in tensor.external_data if e.key == "location"})


def is_outside(location: str) -> bool:
    """Whether a location of external data is outside the model's folder."""
    return PurePosixPath(location).is_absolute() or ".." in PurePosixPath(location).parts


def tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """The model's weights, including those in attributes of nodes, functions and subgraphs."""
    sparse = []
    for graph in graphs(model):
        yield from graph.initializer
        sparse += graph.sparse_initializer
    for node in nodes(model):
        for attribute in node.attribute:
            yield from [attribute.t, *attribute.tensors]
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield from (tensor.values, tensor.indices)


def nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    """All nodes, including those of functions and subgraphs."""
    for function in model.functions:
        yield from function.node
    for graph in graphs(model):
        yield from graph.node


def graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    """The model's graph and its subgraphs (bodies of loops and branches)."""
    found = [model.graph]
    inside = [node for function in model.functions for node in function.node]
    while found or inside:
        if found:
            graph = found.pop()
            yield graph
            inside += graph.node
        attributes = [attribute for node in inside for attribute in node.attribute]
        found += [a.g for a in attributes if a.HasField("g")] + [g for a in attributes for g in a.graphs]
        inside = []
