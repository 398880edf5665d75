"""What a runtime raises while it runs a file is the file's fault, and told as such."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.deploy.outputs import Runner
from edgekd.errors import UnsupportedModelError


def test_a_file_that_fails_as_it_runs_is_unsupported(tmp_path: Path) -> None:
    """An index out of range, which no check of the graph can see."""
    nodes = [
        helper.make_node("Cast", ["input"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "at"], ["logits"]),
    ]
    table = helper.make_tensor("table", TensorProto.FLOAT, [4], [0.0] * 4)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2]) for name in ("input", "logits")]
    graph = helper.make_graph(nodes, "graph", ports[:1], ports[1:], [table])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    runner = Runner(tmp_path / "model.onnx", "onnxruntime")
    assert runner(np.zeros((3, 2), np.float32)).shape == (3, 2)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx: onnxruntime can't run it.*out of bounds|indices"):
        runner(np.full((1, 2), 9, np.float32))
