import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def chain():
    """Makes a float model of nodes (operator, inputs, output, attributes) on an image (1, 4, 8, 8) called x."""

    def make(nodes, weights, outputs=("y",)):
        made = [helper.make_node(op, inputs, [output], **more) for op, inputs, output, more in nodes]
        held = [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in weights.items()]
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])
        results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(made, "g", [given], results, held)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        return onnx.shape_inference.infer_shapes(model)

    return make
