"""A float model in float16, but for the nodes whose values float16 doesn't hold: these stay in float32.

ONNX Runtime's converter lets values between two nodes that stay in float32 pass through float16 (its casts stand around
each node by itself), where they would overflow: those pairs of casts are taken out.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

KEPT = "edgekd.kept_fp32"
"""Key of an ONNX file's metadata: JSON of why values stay in float32, by the name of the value."""

_GREATEST = 65_504 / 2
"""Half of float16's: other images than those that were looked at may reach further."""
_LEAST = 2.0**-14
"""The smallest normal float16: of what is below, bits are lost, and all of them below 2^-24."""
_IMAGES = 32
"""That are looked at."""
_MULTIPLY = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Mul", "Div")
_PAIRS = ("QuantizeLinear", "DequantizeLinear")


def half(model: onnx.ModelProto, beyond: Mapping[str, str]) -> onnx.ModelProto:
    """The model in float16, with its inputs and outputs as they are.

    Args:
        model: a float one, not changed.
        beyond: values that stay in float32, by name, with the reason; see `beyond_half`.
    """
    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    _name_nodes(copied.graph)
    kept = _nodes_around(copied.graph, frozenset(beyond))
    converted: onnx.ModelProto = convert_float_to_float16(copied, keep_io_types=True, node_block_list=sorted(kept))
    _drop_round_trips(converted.graph)
    # it appends the casts of inputs at the end, where ONNX allows none
    OnnxModel.graph_topological_sort(converted.graph)
    if beyond:
        stated = {entry.key: entry.value for entry in converted.metadata_props}
        helper.set_model_props(converted, stated | {KEPT: json.dumps(dict(beyond))})
    return converted


def beyond_half(model: onnx.ModelProto, images: Any | None) -> dict[str, str]:
    """The values of a model, and its weights, that float16 doesn't hold, by name, with what they reach.

    Args:
        model: a float one.
        images: (N, …) as it is fed; None: weights alone are looked at.

    Raises:
        Exception: whatever ONNX Runtime raises for a model that it can't run.
    """
    factors = _factors(model.graph)
    greatest = {name: most for name, most in _weights(model.graph) if most > 1 or name in factors}
    if images is not None:
        greatest |= _activations(model, images[:_IMAGES])
    odd = {name: most for name, most in greatest.items() if _odd(most)}
    return {name: f"{'reaches' if most > 1 else 'is at most'} {most:.2g}" for name, most in odd.items()}


def _odd(greatest: float) -> bool:
    return greatest > _GREATEST or 0 < greatest < _LEAST


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[str, float]]:
    for tensor in graph.initializer:
        # a single number may be a bound, such as that of a Clip
        if tensor.data_type == TensorProto.FLOAT and int(np.prod(tensor.dims)) > 1:
            yield tensor.name, float(np.abs(numpy_helper.to_array(tensor)).max())


def _factors(graph: onnx.GraphProto) -> set[str]:
    """What is multiplied or divided: a small bias is lost beside what it is added to, and a small factor isn't."""
    return {name for node in graph.node if node.op_type in _MULTIPLY for name in list(node.input)[:2]}


def _activations(model: onnx.ModelProto, images: Any) -> dict[str, float]:
    """The greatest magnitude of each float value between nodes over the images."""
    watched = onnx.shape_inference.infer_shapes(model)
    given = {value.name for value in watched.graph.output}
    types = {value.name: value.type.tensor_type.elem_type for value in watched.graph.value_info}
    names = [name for node in watched.graph.node for name in node.output if types.get(name) == TensorProto.FLOAT]
    names = [name for name in dict.fromkeys(names) if name not in given]
    watched.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    asked = [output.name for output in session.get_outputs() if output.type == "tensor(float)"]
    found = dict.fromkeys(asked, 0.0)
    for image in images:
        for name, value in zip(asked, session.run(asked, {session.get_inputs()[0].name: image[None]}), strict=True):
            found[name] = max(found[name], float(np.abs(value).max(initial=0.0)))
    return found


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own."""
    counts = Counter(node.name for node in graph.node)
    for number, node in enumerate(graph.node):
        if not node.name or counts[node.name] > 1:
            node.name = f"{node.name or node.op_type}_{number}"


def _nodes_around(graph: onnx.GraphProto, values: frozenset[str]) -> set[str]:
    """The names of the nodes that make or read one of these values; Q/DQ pairs stay together."""
    made_by = {name: node for node in graph.node for name in node.output}
    kept = {node.name for node in graph.node if values.intersection((*node.input, *node.output))}
    for node in graph.node:
        before = made_by.get(node.input[0]) if node.op_type in _PAIRS else None
        if before is not None and before.op_type in _PAIRS and {node.name, before.name} & kept:
            kept |= {node.name, before.name}
    return kept


def _drop_round_trips(graph: onnx.GraphProto) -> None:
    """Let what reads a float32 value through float16 read the value itself."""
    made_by = {name: node for node in graph.node for name in node.output}
    direct: dict[str, str] = {}
    for node in _casts(graph.node, TensorProto.FLOAT):
        before = made_by.get(node.input[0])
        if before is not None and _is_cast(before, TensorProto.FLOAT16):
            node.input[0] = before.input[0]  # where it makes an output of the graph, it stays, and does nothing
            direct[node.output[0]] = before.input[0]
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in direct:
                node.input[position] = direct[name]
    read = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    kept = [node for node in graph.node if node.op_type != "Cast" or node.output[0] in read]
    del graph.node[:]
    graph.node.extend(kept)


def _casts(nodes: Iterable[onnx.NodeProto], to: int) -> Iterator[onnx.NodeProto]:
    return (node for node in nodes if _is_cast(node, to))


def _is_cast(node: onnx.NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and any(given.name == "to" and given.i == to for given in node.attribute)
