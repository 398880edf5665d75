"""The shapes of a graph's values, as ONNX infers them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx

from edgekd.measuring.graph.folded import fold
from edgekd.measuring.graph.like import readable
from edgekd.values.inspection import Shape

_LARGEST_READ = 1024
"""Bytes of a constant that shape inference may read, such as the shape of a Reshape."""
_LONGEST = 200
_MOST_ROUNDS = 8
"""In which computed sizes are looked for: each may need the shape of a value that the one before made known."""


@dataclass(frozen=True)
class Shaped:
    """A model whose values have shapes, as far as they are known."""

    model: onnx.ModelProto
    counted_for: Mapping[str, Shape]
    """The shapes of inputs with an open first axis, which is 1 here."""
    failed: str | None = None
    """Why shapes were not inferred."""


def shaped(model: onnx.ModelProto) -> Shaped:
    """The model with the shapes of its values. An open first axis of an input counts as 1.

    Args:
        model: without functions; it is changed: large constants lose their values.
    """
    _drop_values(model)
    counted_for = _bound(model.graph)
    try:
        inferred = _inferred(readable(model))
    # graphs that are new to it end in whatever ONNX raises
    except Exception as e:
        reason = " ".join(f"{type(e).__name__}: {e}".split())
        return Shaped(model, counted_for, failed=reason[:_LONGEST])
    _take(model.graph, inferred.graph)
    return Shaped(model, counted_for)


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the shapes that follow from its own constants, and from what is computed of them."""
    found = onnx.shape_inference.infer_shapes(model, data_prop=True)
    work = onnx.ModelProto()
    work.CopyFrom(model)
    again = found
    for _ in range(_MOST_ROUNDS):
        known = _fixed(again.graph)
        if all(name in known for node in again.graph.node for name in node.output):
            break
        if not fold(work.graph, model.opset_import, known):
            break
        again = onnx.shape_inference.infer_shapes(work, data_prop=True)
        found.graph.value_info.extend(value for value in again.graph.value_info if _is_fixed(shape_of(value)))
        for stated, later in zip(found.graph.output, again.graph.output, strict=True):
            if _is_fixed(shape_of(later)):
                stated.CopyFrom(later)
    return found


def _fixed(graph: onnx.GraphProto) -> dict[str, tuple[int, ...]]:
    """The shapes of what has all its axes fixed."""
    values = ((value.name, shape_of(value)) for value in (*graph.input, *graph.value_info, *graph.output))
    return {name: tuple(map(int, shape)) for name, shape in values if shape is not None and _is_fixed(shape)}  # type: ignore[arg-type]


def _is_fixed(shape: Shape | None) -> bool:
    return shape is not None and all(isinstance(axis, int) for axis in shape)


def shape_of(value: onnx.ValueInfoProto) -> Shape | None:
    """The shape of a value; None: not stated, or it is no tensor. Some converters write 0 or -1 for an open axis."""
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return None
    return tuple(axis.dim_value if axis.dim_value > 0 else axis.dim_param or None for axis in kind.shape.dim)


def _bound(graph: onnx.GraphProto) -> dict[str, Shape]:
    """Set open first axes to 1, wherever the file states them; the shapes of inputs that had one."""
    constants = {tensor.name for tensor in graph.initializer}
    given = [value for value in graph.input if value.name not in constants]
    opened = [value for value in given if (shape := shape_of(value)) and not isinstance(shape[0], int)]
    firsts = [value.type.tensor_type.shape.dim[0] for value in opened]
    names = {axis.dim_param for axis in firsts} - {""}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in names:
                axis.dim_value = 1
            elif axis.HasField("dim_value") and axis.dim_value < 1:
                axis.Clear()  # as a size it would be passed on to everything behind it
    for axis in firsts:
        axis.dim_value = 1
    return {value.name: shape_of(value) or () for value in opened}


def _drop_values(model: onnx.ModelProto) -> None:
    """Remove the values of large constants, which inference doesn't read and would copy."""
    for tensor in _constants(model.graph):
        if tensor.ByteSize() > _LARGEST_READ:
            for field in ("raw_data", "float_data", "int32_data", "int64_data", "double_data", "uint64_data"):
                tensor.ClearField(field)


def _constants(graph: onnx.GraphProto) -> Iterable[onnx.TensorProto]:
    graphs = [graph]
    while graphs:
        found = graphs.pop()
        yield from found.initializer
        for node in found.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                graphs += [*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs]


def _take(to: onnx.GraphProto, inferred: onnx.GraphProto) -> None:
    """Copy what was inferred for a graph, and for the bodies of If, Loop and Scan within it."""
    pairs = [(to, inferred)]
    while pairs:
        graph, other = pairs.pop()
        del graph.value_info[:], graph.output[:]
        graph.value_info.extend(other.value_info)
        graph.output.extend(other.output)
        pairs += zip(_bodies(graph), _bodies(other), strict=True)


def _bodies(graph: onnx.GraphProto) -> list[onnx.GraphProto]:
    """Of its nodes, in their order, which inference keeps."""
    return [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
