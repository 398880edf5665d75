"""Cross-layer equalisation: channels of an activation between two layers get similar magnitudes, and the network
computes the same, because a rectifier of c x is c times that of x for c > 0.

Source: M. Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019,
arXiv:1906.04721, section 4.1. There the two layers' weights share the burden, each with one scale. Here weights have a
scale for each output channel, so the first layer's rows cost nothing; the activation and the second layer's columns
share it, as in G. Xiao et al., "SmoothQuant", 2022, arXiv:2211.10438, equation 4 with an even split. A Clip with an
upper bound, such as ReLU6, isn't scale-equivariant, and so nothing is equalised across one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.deploy.quantise.layers import Weight, named
from edgekd.deploy.quantise.observe import Observed
from edgekd.deploy.quantise.view import View, attribute, view

_Array = np.ndarray[Any, Any]

_EQUIVARIANT = ("Relu", "LeakyRelu", "MaxPool", "AveragePool", "GlobalAveragePool")
_MOST = 32.0
"""By which a channel is scaled up or down, against the geometric mean."""


@dataclass(frozen=True)
class _Pair:
    """Two layers, the second of which alone reads what the first gives."""

    first: Weight
    second: Weight
    between: str
    """The activation that the second one reads."""


def equalised(model: onnx.ModelProto, observed: Mapping[str, Observed]) -> onnx.ModelProto | None:
    """The same function with channels of similar magnitudes, or None where no two layers follow each other so.

    Args:
        model: a float one, not changed.
        observed: its activations.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    constants = {tensor.name: tensor for tensor in result.graph.initializer}
    pairs = list(_pairs(result.graph))
    for pair in pairs:
        _equalise(result.graph, pair, observed[pair.between].greatest, constants)
    return result if pairs else None


def _pairs(graph: onnx.GraphProto) -> Iterator[_Pair]:
    seen, layers = view(graph), {}
    for weight, *others in named(graph).values():
        node = graph.node[weight.node]
        if node.op_type == "Conv" and not others and _scales(seen, node):
            layers[weight.node] = weight
    for number, first in layers.items():
        name: str = graph.node[number].output[0]
        while (reader := _only_reader(seen, name)) is not None and seen.nodes[reader].op_type in _EQUIVARIANT:
            name = seen.nodes[reader].output[0]
        if reader in layers:
            yield _Pair(first, layers[reader], name)


def _scales(seen: View, node: onnx.NodeProto) -> bool:
    """Whether its outputs can be scaled by constants that nothing else reads."""
    return all(name in seen.constants and len(seen.readers[name]) == 1 for name in node.input[1:] if name)


def _only_reader(seen: View, name: str) -> int | None:
    """The node that alone reads a value, as its first input."""
    readers = seen.readers.get(name, ())
    alone = len(readers) == 1 and readers[0][1] == 0 and name not in seen.outputs
    return readers[0][0] if alone else None


def _equalise(graph: onnx.GraphProto, pair: _Pair, greatest: _Array, constants: Mapping[str, onnx.TensorProto]) -> None:
    """Divide the first layer's channels by what the second one's weights are multiplied with."""
    first, second = graph.node[pair.first.node], graph.node[pair.second.node]
    groups = int(attribute(second, "group", 1))
    weight = numpy_helper.to_array(constants[pair.second.name])
    # (groups, O / groups, I / groups, …): the channels that each group reads
    columns = weight.reshape(groups, -1, *weight.shape[1:])
    read = np.abs(columns).max(tuple(i for i in range(columns.ndim) if i not in (0, 2))).reshape(-1)
    # each channel of a depthwise layer's weights has a scale of its own
    scale = _factors(greatest, np.ones_like(read) if weight.shape[1] == 1 else read)
    spread = scale.reshape(groups, 1, -1, *(1,) * (weight.ndim - 2))
    _set(constants[pair.second.name], (columns * spread).reshape(weight.shape))
    for name in first.input[1:]:
        if name:
            values = numpy_helper.to_array(constants[name])
            _set(constants[name], values / scale.reshape(-1, *(1,) * (values.ndim - 1)))


def _factors(greatest: _Array, read: _Array) -> _Array:
    """What each channel is divided by: the square root of its activation's magnitude over that of the weights which
    read it; the geometric mean is 1.
    """
    known = (greatest > 0) & (read > 0)
    if not known.any():
        return np.ones(greatest.shape, np.float32)
    logs = np.log(np.where(known, greatest, 1) / np.where(known, read, 1)) / 2
    logs = np.where(known, logs - logs[known].mean(), 0)
    return np.asarray(np.exp(np.clip(logs, -np.log(_MOST), np.log(_MOST))), np.float32)


def _set(tensor: onnx.TensorProto, values: _Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
