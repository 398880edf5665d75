"""A small fixed model for measuring devices."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_SIZE = 56
_CHANNELS = 32
_LAYERS = 4


def write_reference(path: Path) -> None:
    """Write four 3×3 convolutions with ReLU, 32 channels, 56×56 pixels: 0.09 GMAC, a few milliseconds on one core."""
    random = np.random.default_rng(0)
    nodes, weights, tensor = [], [], "image"
    for i in range(_LAYERS):
        values = random.standard_normal((_CHANNELS, _CHANNELS if i else 3, 3, 3)).astype(np.float32) / 20
        weights.append(numpy_helper.from_array(values, f"weight{i}"))
        nodes.append(helper.make_node("Conv", [tensor, f"weight{i}"], [f"conv{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        tensor = f"relu{i}"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, _SIZE, _SIZE])
    output = helper.make_tensor_value_info(tensor, TensorProto.FLOAT, [1, _CHANNELS, _SIZE, _SIZE])
    graph = helper.make_graph(nodes, "reference", [image], [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), path)
