import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.devices.reading import reads
from edgekd.runtimes import onnxruntime as runtime


@pytest.mark.parametrize(
    "imported",
    [f"import runpy; runpy.run_path({runtime.__file__!r})['describe']()", "import edgekd, onnxruntime"],
    ids=["on a device", "here"],
)
def test_it_reports_nothing_and_leaves_nothing_in_the_home_directory(tmp_path, imported):
    kept = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    subprocess.run([sys.executable, "-c", imported], check=True, env={**kept, **home})
    assert list(tmp_path.iterdir()) == []


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


def test_integers_are_added_exactly_where_it_is_asked_for(tmp_path):
    """Sums of two products of U8 and S8 exceed 16 bits here; without VNNI they saturate unless the session says so."""
    scale, weights = helper.make_tensor("s", TensorProto.FLOAT, [], [1.0]), np.full((64, 8), 127, "i1")
    zero = [
        helper.make_tensor(name, kind, [], [0]) for name, kind in (("u", TensorProto.UINT8), ("z", TensorProto.INT8))
    ]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["x", "s", "u"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "u"], ["d"]),
            helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"]),
            helper.make_node("MatMul", ["d", "v"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [scale, *zero, helper.make_tensor("w", TensorProto.INT8, [64, 8], weights.tobytes(), raw=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    session = runtime.open(str(tmp_path / "m.onnx"), exact_integers=True)
    (given,) = session.run({"x": np.full((1, 64), 255, "float32")})
    np.testing.assert_array_equal(given, np.full((1, 8), 64 * 255 * 127))
    entry = "session.x64quantprecision"
    assert session._session.get_session_options().get_session_config_entry(entry) == "1"
    without = runtime.open(str(tmp_path / "m.onnx"))._session.get_session_options()
    with pytest.raises(RuntimeError, match=entry):
        without.get_session_config_entry(entry)


def test_it_says_what_it_is(model):
    assert runtime.describe() == {"version": onnxruntime.__version__, "provider": "CPUExecutionProvider"}
    assert runtime.open(str(model()))._session.get_providers() == ["CPUExecutionProvider"]


def test_what_cannot_be_loaded_is_reported_in_the_runtimes_words(tmp_path, model, one_node):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model().read_bytes()[:100])
    unknown = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    for path, says in ((broken, "broken.onnx"), (unknown, "Oddity"), (tmp_path / "missing.onnx", "doesn't exist")):
        with pytest.raises(ValueError, match=says) as e:
            runtime.open(str(path))
        assert "ONNXRuntimeError" not in str(e.value)


@pytest.fixture
def loop(tmp_path):
    """Writes a model that multiplies matrices so many times in a loop, and once after it."""

    def write(trips):
        like = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [128, 128]) for name in ("s", "s2")]
        count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
        go_on = [helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("c", "c2")]
        nodes = [
            helper.make_node("MatMul", ["s", "w"], ["s2"], name="inner"),
            helper.make_node("Identity", ["c"], ["c2"]),
        ]
        body = helper.make_graph(nodes, "body", [count, go_on[0], like[0]], [go_on[1], like[1]])
        graph = helper.make_graph(
            [
                helper.make_node("Loop", ["n", "yes", "x"], ["y"], name="loop", body=body),
                helper.make_node("MatMul", ["y", "w"], ["z"], name="outer"),
            ],
            "loops",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [128, 128])],
            [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
            [
                onnx.numpy_helper.from_array(np.eye(128, dtype=np.float32), "w"),
                onnx.numpy_helper.from_array(np.array(trips), "n"),
                onnx.numpy_helper.from_array(np.array(True), "yes"),
            ],
        )
        path = tmp_path / "loop.onnx"
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return write


def test_a_loops_body_counts_once_and_as_often_as_it_runs(loop, tmp_path):
    session = runtime.open(str(loop(5)), trace_in=str(tmp_path))
    values = {"x": np.ones((128, 128), np.float32)}
    session.run(values)
    whole = []
    for _ in range(60):
        start = time.perf_counter()
        session.run(values)
        whole.append((time.perf_counter() - start) * 1e3)
    found = {node["name"]: node["ms"] for node in session.nodes(1)}
    # all iterations are of one inference, and the loop's own time is without them
    assert 3 < found["inner"] / found["outer"] < 8
    assert found["loop"] < found["inner"]
    assert sum(found.values()) < statistics.median(whole)


def test_a_traces_times_are_those_of_an_inference(tmp_path):
    def event(name, ts, dur, op="", cat="Node"):
        return {"cat": cat, "name": name, "ts": ts, "dur": dur, "args": {"op_name": op, "provider": "P"}}

    events = []
    for start in (0, 1000, 2000, 3000):  # the first is cold, the third is interrupted in one node
        slow = 300 if start in (0, 2000) else 0
        events += [
            event("a_kernel_time", start + 10, 20 + slow, "MatMul"),
            event("a_kernel_time", start + 350 + slow, 30, "MatMul"),
            event("if_kernel_time", start + 400 + slow, 40, "If"),
            event("loop_kernel_time", start + 5, 600 + slow, "Loop"),
            event("b_kernel_time", start + 605 + slow, 7, "Add"),
        ]
        events.append(event("model_run", start, 700 + slow, cat="Session"))
    nodes = [e for e in events if e["cat"] == "Node"]
    found = {n["name"]: n["ms"] for n in runtime._nodes(nodes, [e for e in events if e["cat"] == "Session"][1:])}
    assert found == pytest.approx({"loop": 0.51, "a": 0.05, "if": 0.04, "b": 0.007})


def test_an_interruption_in_each_run_counts_in_no_node_and_a_rare_node_counts_as_often_as_it_runs():
    def run(start, **us):
        nodes = [
            {"cat": "Node", "name": f"{name}_kernel_time", "ts": start + 100 * n, "dur": dur, "args": {}}
            for n, (name, dur) in enumerate(us.items())
        ]
        return nodes, {"name": "model_run", "ts": start, "dur": 1000}

    runs = [run(0, a=10, b=90), run(2000, a=90, b=10, rare=20), run(4000, a=10, b=10), run(6000, a=90, b=90)]
    found = runtime._nodes([node for nodes, _ in runs for node in nodes], [whole for _, whole in runs])
    assert {node["name"]: node["ms"] for node in found} == pytest.approx({"a": 0.01, "b": 0.01, "rare": 0.005})


def opens(path, opset, ir_version):
    """Why a model of that opset and IR version isn't opened; None if it is."""
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    try:
        runtime.open(str(path))
    except ValueError as e:
        return str(e)
    return None


def test_the_version_here_reads_what_is_listed_for_it_and_no_more(tmp_path):
    """Other versions were tried in the same way when they were listed."""
    row = reads("onnxruntime", onnxruntime.__version__)
    if row is None or row["opset"] is None:
        pytest.skip(f"onnxruntime {onnxruntime.__version__} is newer than what is listed")
    path = tmp_path / "m.onnx"
    assert opens(path, row["opset"], row["ir_version"]) is None
    assert "opset" in opens(path, row["opset"] + 1, row["ir_version"]).lower()
    assert "IR version" in opens(path, 17, row["ir_version"] + 1)
