"""Computes what depends on small constants alone, such as the sizes of a padding: shape inference reads only constants.

TorchScript's exporter leaves such computations in its files.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

_MOST_ELEMENTS = 1024
_ONNX = ("", "ai.onnx")
_FOLDABLE = {
    *("Add", "Cast", "Concat", "Constant", "ConstantOfShape", "Div", "Flatten", "Gather", "Identity", "Mul", "Neg"),
    *("Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"),
}
Array = np.ndarray[Any, Any]


Opsets = Sequence[onnx.OperatorSetIdProto]


def fold(graph: onnx.GraphProto, opsets: Opsets, shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Put a constant in the place of each node of a graph that small constants decide; returns how many.

    Args:
        graph: is changed.
        opsets: of its model.
        shapes: of values that have all axes fixed.
    """
    known = {tensor.name: values for tensor in graph.initializer if (values := _values(tensor)) is not None}
    nodes, found = list(graph.node), 0
    del graph.node[:]
    for node in nodes:
        made = _shape(node, shapes) if node.op_type == "Shape" else _computed(node, known, opsets)
        if made is None:
            graph.node.append(node)
            continue
        known[node.output[0]] = made
        graph.initializer.append(numpy_helper.from_array(made, node.output[0]))
        found += 1
    return found


def _shape(node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> Array | None:
    if len(node.input) != 1 or node.input[0] not in shapes or len(node.output) != 1:
        return None
    stated = {attribute.name: int(attribute.i) for attribute in node.attribute}
    return np.array(shapes[node.input[0]][stated.get("start") : stated.get("end")], np.int64)


def _computed(node: onnx.NodeProto, known: Mapping[str, Array], opsets: Opsets) -> Array | None:
    """What a node makes of small constants; None where that isn't known, or much."""
    if not _is_foldable(node, known):
        return None
    if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
        return _values(node.attribute[0].t)
    from onnx.reference import ReferenceEvaluator  # takes longer to import than all the rest

    given = {name: known[name] for name in node.input if name}
    try:
        (made,) = ReferenceEvaluator(_alone(node, given, opsets)).run(None, given)
    except Exception:  # whatever a node that is new to it ends in: its value stays unknown
        return None
    return made if isinstance(made, np.ndarray) and made.size <= _MOST_ELEMENTS else None


def _is_foldable(node: onnx.NodeProto, known: Mapping[str, Array]) -> bool:
    if node.op_type not in _FOLDABLE or node.domain not in _ONNX or len(node.output) != 1:
        return False
    if any(name not in known for name in node.input if name):
        return False
    # of the others none makes more than the product of what it is given
    return node.op_type != "ConstantOfShape" or 0 <= np.prod(known[node.input[0]], dtype=float) <= _MOST_ELEMENTS


def _alone(node: onnx.NodeProto, given: Mapping[str, Array], opsets: Opsets) -> onnx.ModelProto:
    """A model of that node."""
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in given.items()
    ]
    output = onnx.helper.make_empty_tensor_value_info(node.output[0])
    graph = onnx.helper.make_graph([node], "alone", inputs, [output])
    return onnx.helper.make_model(graph, opset_imports=opsets)


def _values(tensor: onnx.TensorProto) -> Array | None:
    """A constant's values, if they are few and in the file."""
    elements = np.prod(tensor.dims, dtype=float)
    if tensor.data_location == onnx.TensorProto.EXTERNAL or not 0 <= elements <= _MOST_ELEMENTS:
        return None
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError):  # a damaged one, or its values were dropped
        return None
