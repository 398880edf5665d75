"""Bias correction: rounding a layer's weights shifts the mean of its outputs, which its bias takes back.

Source: M. Nagel et al., "Data-free quantization through weight equalization and bias correction", 2019,
arXiv:1906.04721, section 4.2, with means over calibration images in place of those of batch normalisations.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.deploy.quantise.layers import Weight, named
from edgekd.deploy.quantise.observe import Observed
from edgekd.deploy.quantise.scales import U8S8, along, integers, of_weights
from edgekd.deploy.quantise.view import attribute

_Array = np.ndarray[Any, Any]


def corrections(graph: onnx.GraphProto, observed: Mapping[str, Observed]) -> dict[str, tuple[float, ...]]:
    """What is added to each layer's bias, by the name of its weight; a weight that layers share has none."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    found = {}
    for name, (weight, *others) in named(graph).items():
        node = graph.node[weight.node]
        means = observed[node.input[0]].mean if node.input[0] in observed else None
        if means is not None and not others and node.op_type in ("Conv", "Gemm"):
            shift = _shift(node, weight, numpy_helper.to_array(constants[name]), means)
            if shift is not None:
                found[name] = tuple(float(-value) for value in shift)
    return found


def _shift(node: onnx.NodeProto, weight: Weight, values: _Array, means: _Array) -> _Array | None:
    """By how much rounding moves the mean of each output channel (O,), paddings left out."""
    scale = of_weights(values, weight.axis, U8S8)
    error = integers(values, scale, weight.axis) * along(scale, weight.axis, values.ndim) - values
    if node.op_type == "Gemm":
        error = error if weight.axis == 0 else error.T
        return error @ means if error.shape[1] == len(means) else None
    groups = int(attribute(node, "group", 1))
    if len(means) != groups * values.shape[1]:
        return None
    # (O, I / groups): each output channel reads the channels of its group
    taps = error.reshape(*error.shape[:2], -1).sum(2)
    read = means.reshape(groups, -1).repeat(len(taps) // groups, axis=0)
    return np.asarray((taps * read).sum(1))
