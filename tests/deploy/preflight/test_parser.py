"""NVIDIA's parser and compiler, in a process of its own."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.deploy.preflight import parser
from edgekd.deploy.preflight.parser import ACCEPTED, parse
from edgekd.deploy.preflight.preflight import preflight
from edgekd.deploy.preflight.rule import Destination


def network(path, *, op="Relu", shape=(1, 4, 8, 8)):
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"], "conv"), helper.make_node(op, ["c"], ["y"], "last")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((8, 4, 3, 3), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def product(path):
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], "product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(np.ones((64, 10), np.float32), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def rtx():
    pytest.importorskip("tensorrt_rtx", reason="the extra trt-check (tensorrt-rtx) isn't installed")


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(("capability", "gpu"), [("8.7", "SM86"), ("11.0", "SM120"), ("7.2", "SM80"), (None, "SM80")])
def test_it_says_for_which_gpu_it_accepts(tmp_path, capability, gpu):
    found = parse(network(tmp_path / "m.onnx", shape=["N", 4, 8, 8]), capability)
    assert (found.status, found.message) == ("accepted", ACCEPTED)
    assert f" for {gpu}" in found.compiler
    assert ("nearest to compute capability" in found.compiler) == (capability is not None)


@pytest.mark.usefixtures("rtx")
def test_a_matrix_product_in_fp32_is_accepted_for_a_gpu_that_is_older_than_all_that_it_has_in_full(tmp_path):
    """TensorRT-RTX compiles none for its oldest, SM75, but a Xavier's TensorRT does."""
    assert parse(product(tmp_path / "m.onnx"), "7.2").status == "accepted"


def test_the_label_claims_no_more_than_it_knows():
    assert ACCEPTED == "accepted by NVIDIA's parser and compiler; not a Jetson engine"


@pytest.mark.usefixtures("rtx")
def test_what_it_refuses_is_an_error_with_its_reason(tmp_path):
    found = preflight(network(tmp_path / "m.onnx", op="Oddity"), Destination(20, "8.7"))
    assert found.parsed.status == "refused"
    (finding,) = found.findings
    assert (finding.rule, finding.severity) == ("nvidia-parser", "error")
    assert "'last' (Oddity)" in finding.message
    assert ".cpp" not in finding.message
    assert "cuda" not in finding.message.lower()
    assert finding.remedy


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(("zero", "refused"), [(np.int8(0), False), (np.uint8(0), False), (np.int8(3), True)])
def test_unsigned_values_are_taken_without_a_word_and_so_need_a_rule(tmp_path, zero, refused):
    model = onnx.load(network(tmp_path / "m.onnx"))
    constants = {"s": np.float32(0.1), "z": zero}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items())
    model.graph.node.insert(0, helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]))
    model.graph.node.insert(1, helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]))
    model.graph.node[2].input[0] = "d"
    onnx.save(model, tmp_path / "m.onnx")
    found = preflight(tmp_path / "m.onnx", Destination(20, "8.9"))
    assert (found.parsed.status == "refused") == refused
    assert bool(found.findings) == (zero.dtype == np.uint8 or refused)


@pytest.mark.usefixtures("rtx")
def test_open_axes_are_parsed_and_not_compiled(tmp_path):
    found = parse(network(tmp_path / "m.onnx", shape=[1, 4, "H", "W"]), "8.7")
    assert found.status == "parsed"
    assert found.message == "accepted by NVIDIA's parser; not compiled, since it leaves axes open: x"


@pytest.mark.usefixtures("rtx")
def test_too_long_is_no_judgement(tmp_path):
    found = parse(network(tmp_path / "m.onnx"), "8.7", timeout_s=0.01)
    assert found.status == "not judged"
    assert "no answer within" in found.message


def test_a_crash_is_no_judgement(tmp_path, monkeypatch):
    crash = tmp_path / "tensorrt_rtx.py"
    crash.write_text("import os, signal\nclass ILogger: os.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt_rtx", raising=False)
    found = preflight(network(tmp_path / "m.onnx"), Destination(20, "8.7"))
    assert found.findings == ()
    assert found.parsed.status == "not judged"
    assert "signal 11" in found.parsed.message


def test_without_it_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(parser.importlib.util, "find_spec", lambda name: None)
    found = parse(network(tmp_path / "m.onnx"), "8.7")
    assert found.status == "not judged"
    assert "pip install 'edgekd[trt-check]'" in found.message
