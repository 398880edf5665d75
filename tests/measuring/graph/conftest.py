import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def saved(tmp_path):
    """Saves a graph of nodes as an ONNX file and returns its path."""

    def save(nodes, inputs, weights=(), *, outputs=("y",), name="made", functions=(), opset=17, **how):
        made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None) for output in outputs]
        constants = [numpy_helper.from_array(np.asarray(values), each) for each, values in dict(weights).items()]
        graph = helper.make_graph(list(nodes), name, list(inputs), made, constants)
        opsets = [
            helper.make_opsetid("", opset),
            helper.make_opsetid("com.microsoft", 1),
            helper.make_opsetid("own", 1),
        ]
        proto = helper.make_model(graph, opset_imports=opsets, ir_version=8, functions=list(functions))
        onnx.save(proto, tmp_path / f"{name}.onnx", **how)
        return tmp_path / f"{name}.onnx"

    return save


def image(shape=(1, 3, 8, 8), name="x", kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weights(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")
