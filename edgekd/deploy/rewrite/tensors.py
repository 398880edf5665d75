"""What rewrites look up in a graph."""

from collections.abc import Mapping, Sequence

import onnx


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without the shapes of values between nodes: a rewrite changes them."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    del result.graph.value_info[:]
    return result


def constants(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Its initializers by name, those of its inputs that a caller may replace left out."""
    given = {value.name for value in graph.input}
    return {tensor.name: tensor for tensor in graph.initializer if tensor.name not in given}


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {output: node for node in graph.node for output in node.output if output}


def shapes(model: onnx.ModelProto) -> dict[str, Sequence[int]]:
    """The shapes of values whose axes are all fixed."""
    graph = onnx.shape_inference.infer_shapes(copied(model)).graph
    found: dict[str, Sequence[int]] = {}
    for value in (*graph.value_info, *graph.input, *graph.output):
        axes = value.type.tensor_type.shape.dim
        if value.type.tensor_type.HasField("shape") and all(axis.HasField("dim_value") for axis in axes):
            found[value.name] = [axis.dim_value for axis in axes]
    return found


def groups_of(conv: onnx.NodeProto) -> int:
    """The groups of a convolution."""
    return next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)


def width_of(conv: onnx.NodeProto, held: Mapping[str, onnx.TensorProto]) -> int | None:
    """The input channels of each group of a convolution; None where its weight isn't constant."""
    weight = held.get(conv.input[1])
    return weight.dims[1] if weight is not None else None
