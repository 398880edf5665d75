"""A graph for ONNX Runtime's blocked convolutions (NCHWc), which it leaves where an operator has no blocked kernel.

Each way back to plain layout costs a copy of the tensor, and the plain kernel of a grouped convolution is slow. These
rewrites compute the same function: the mean over rows and columns as a pooling, the scaling of a squeeze-and-excitation
block between equal shapes, and groups as wide as a block (`channels`).
Source: onnxruntime/core/optimizer/nchwc_transformer.cc, which lists what has blocked kernels.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd import files
from edgekd.deploy.refusal import refusing
from edgekd.deploy.rewrite.channels import with_even_channels
from edgekd.deploy.rewrite.tensors import constants, copied, groups_of, producers, shapes, width_of
from edgekd.errors import UnsupportedModelError

BLOCK = 16
"""Channels of a block where the CPU has AVX-512; with less, groups this wide are blocks as well."""

_POINTWISE = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Tanh", "QuickGelu")


def write_blocked(exported: Path, path: Path) -> Path:
    """Write the network in an fp32 file, rewritten, to `path`.

    Raises:
        UnsupportedModelError: there is nothing to rewrite, or the graph can't be read.
        StorageError: the file can't be written.
    """
    with refusing("its graph can't be rewritten"):
        model = blocked(exported)
    if model is None:
        raise UnsupportedModelError("nothing to rewrite: ONNX Runtime's blocked kernels take its graph as it is")
    files.write_bytes(path, model.SerializeToString())
    return path


def blocked(exported: Path, block: int = BLOCK) -> onnx.ModelProto | None:
    """The network in an fp32 file, rewritten; None where there is nothing to rewrite.

    Args:
        exported: an ONNX file with fixed shapes.
        block: channels of a block.
    """
    model = onnx.load(exported)
    pooled = with_pooling(model)
    result = with_equal_shapes(with_even_channels(pooled, block), block)
    if result is pooled and _means(model) - _means(pooled) <= 1:
        return None  # the mean before the classifier is behind the last blocked kernel
    return result


def _means(model: onnx.ModelProto) -> int:
    return sum(node.op_type == "ReduceMean" for node in model.graph.node)


def with_pooling(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with a GlobalAveragePool for each ReduceMean over rows and columns; itself where there is none."""
    result, known = copied(model), shapes(model)
    held = constants(result.graph)
    found = [node for node in result.graph.node if _is_pooling(node, held, known)]
    for node in found:
        node.op_type = "GlobalAveragePool"
        del node.input[1:]
        del node.attribute[:]
    return result if found else model


def _is_pooling(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto], known: Mapping[str, Sequence[int]]) -> bool:
    if node.op_type != "ReduceMean" or len(known.get(node.input[0], ())) != 4 or not _keeps_axes(node):
        return False
    axes = [list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"]
    if len(node.input) > 1 and node.input[1] in held:
        axes.append(numpy_helper.to_array(held[node.input[1]]).tolist())
    return any(sorted(axis % 4 for axis in some) == [2, 3] for some in axes)


def _keeps_axes(node: onnx.NodeProto) -> bool:
    return all(attribute.i for attribute in node.attribute if attribute.name == "keepdims")


def with_equal_shapes(model: onnx.ModelProto, block: int) -> onnx.ModelProto:
    """The same model with every factor (1, C, 1, 1) of a tensor (1, C, H, W) repeated to its shape, where that tensor
    comes from a convolution with a blocked kernel; itself where there is none.
    """
    result, known = copied(model), shapes(model)
    held, made_by = constants(result.graph), producers(result.graph)
    nodes: list[onnx.NodeProto] = []
    for node in result.graph.node:
        if node.op_type == "Mul":
            for index, (factor, values) in enumerate((tuple(node.input), tuple(node.input)[::-1])):
                to = known.get(values, ())
                if _is_factor(known.get(factor, ()), to) and _is_blocked(values, made_by, held, block):
                    nodes.append(_repeated(result.graph, factor, to))
                    node.input[index] = nodes[-1].output[0]
                    break
        nodes.append(node)
    if len(nodes) == len(model.graph.node):
        return model
    del result.graph.node[:]
    result.graph.node.extend(nodes)
    return result


def _is_factor(shape: Sequence[int], of: Sequence[int]) -> bool:
    return len(shape) == len(of) == 4 and [*shape] == [*of[:2], 1, 1] != [*of]


def _is_blocked(
    name: str, made_by: Mapping[str, onnx.NodeProto], held: Mapping[str, onnx.TensorProto], block: int
) -> bool:
    """Whether a tensor is made by a convolution with a blocked kernel, with only activations between."""
    node = made_by.get(name)
    while node is not None and node.op_type in _POINTWISE:
        node = made_by.get(node.input[0])
    if node is None or node.op_type != "Conv":
        return False
    width = width_of(node, held)
    return width is not None and (groups_of(node) == 1 or width == 1 or width % block == 0)


def _repeated(graph: onnx.GraphProto, factor: str, to: Sequence[int]) -> onnx.NodeProto:
    """A node that repeats it over rows and columns."""
    name = f"{factor}_repeated"
    graph.initializer.append(numpy_helper.from_array(np.array([1, 1, *to[2:]], np.float32), f"{name}_scales"))
    return onnx.helper.make_node(
        "Resize",
        [factor, "", f"{name}_scales"],
        [name],
        name,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
