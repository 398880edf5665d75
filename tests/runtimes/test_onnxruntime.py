import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.runtimes import onnxruntime as runtime


def test_it_computes_what_the_model_says(one_node):
    path = one_node("neg", "Neg", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])])
    values = np.array([[1, -2], [3, -4]], np.float32)
    (found,) = runtime.open(str(path)).run({"x": values})
    np.testing.assert_array_equal(found, -values)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (TensorProto.FLOAT, "float32"),
        (TensorProto.FLOAT16, "float16"),
        (TensorProto.DOUBLE, "float64"),
        (TensorProto.UINT8, "uint8"),
        (TensorProto.INT64, "int64"),
        (TensorProto.BOOL, "bool"),
    ],
)
def test_inputs_have_numpys_type_names_and_free_axes(one_node, kind, name):
    path = one_node("same", "Identity", [helper.make_tensor_value_info("x", kind, ["N", 3, None])])
    (found,) = runtime.open(str(path)).inputs()
    assert found == {"name": "x", "shape": ["N", 3, None], "dtype": name}
    np.dtype(found["dtype"])


def test_threads_and_spinning_reach_the_session(model):
    options = runtime.open(str(model()), threads=2, spinning=False)._session.get_session_options()
    assert options.intra_op_num_threads == 2
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    options = runtime.open(str(model()), threads=1, spinning=True)._session.get_session_options()
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "1"


def test_it_says_what_it_is(model):
    assert runtime.describe() == {
        "runtime": "onnxruntime",
        "runtime_version": onnxruntime.__version__,
        "provider": "CPUExecutionProvider",
    }
    assert runtime.open(str(model()))._session.get_providers() == ["CPUExecutionProvider"]


def test_what_cannot_be_loaded_is_told_in_the_runtimes_words(tmp_path, model, one_node):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model().read_bytes()[:100])
    unknown = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    for path, says in ((broken, "broken.onnx"), (unknown, "Oddity"), (tmp_path / "missing.onnx", "doesn't exist")):
        with pytest.raises(ValueError, match=says) as e:
            runtime.open(str(path))
        assert "ONNXRuntimeError" not in str(e.value)


def test_it_can_be_loaded_by_path_without_edgekd():
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("any", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert "onnx" in module.formats
assert not [name for name in sys.modules if name.partition(".")[0] in ("edgekd", "onnx", "torch")]
"""
    subprocess.run([sys.executable, "-c", code, runtime.__file__], check=True)
