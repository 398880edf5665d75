"""What holds for every runtime."""

import importlib.util
import inspect
import subprocess
import sys
import time
from statistics import mean

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd import catalog
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Node, Variant
from edgekd.variants import settle


@pytest.fixture(params=catalog.names(RUNTIMES))
def runtime(request):
    """Each runtime that is installed: a module that is called as its package. TensorRT is a fake."""
    if request.param == "tensorrt":
        return request.getfixturevalue("tensorrt_of")()
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} isn't installed")
    return catalog.load(RUNTIMES, request.param)


@pytest.fixture
def onnx_runtime(runtime):
    """Each of those that open ONNX files."""
    if "onnx" not in runtime.formats:
        pytest.skip("it opens no ONNX files")
    return runtime


def opened(runtime, path, **opening):
    """A session of a model, by way of an engine if the runtime builds one, or of its own format."""
    if "onnx" not in runtime.formats:
        writer = catalog.load(WRITERS, runtime.__name__.rpartition(".")[2])
        return runtime.open(str(writer.write(Source(path), "fp32", path)), **opening)
    if not runtime.builds:
        return runtime.open(str(path), **opening)
    runtime.build(str(path), f"{path}.engine", lambda taken: {one["name"]: [2, 3, 4] for one in taken})
    return runtime.open(f"{path}.engine", **opening)


def convolutions(path, count=4, channels=32):
    random = np.random.default_rng(0)
    nodes, weights = [], []
    for i in range(count):
        values = random.standard_normal((channels, channels if i else 3, 3, 3)).astype("float32") / 10
        weights.append(onnx.numpy_helper.from_array(values, f"w{i}"))
        nodes.append(helper.make_node("Conv", [f"x{i}", f"w{i}"], [f"x{i + 1}"], name=f"conv{i}", pads=[1] * 4))
    inputs = [helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, 3, 64, 64])]
    outputs = [helper.make_tensor_value_info(f"x{count}", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "convolutions", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_it_computes_what_the_model_says_and_outputs_stay_as_they_are(onnx_runtime, one_node):
    path = one_node("neg", "Neg", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])])
    session = opened(onnx_runtime, path)
    values = np.array([[1, -2], [3, -4]], np.float32)
    (first,) = session.run({"x": values})
    (second,) = session.run({"x": 2 * values})
    np.testing.assert_array_equal(first, -values)
    np.testing.assert_array_equal(second, -2 * values)


def test_it_computes_in_fp32_unless_something_else_is_requested(runtime, tmp_path):
    path = convolutions(tmp_path / "convolutions.onnx", count=1)
    image = np.random.default_rng(1).standard_normal((1, 3, 64, 64)).astype(np.float32)
    (found,) = opened(runtime, path).run({"x0": image})
    weights = np.random.default_rng(0).standard_normal((32, 3, 3, 3)).astype(np.float32) / 10
    padded = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    expected = np.einsum("nchwij,ocij->nohw", windows, weights.astype(np.float64))
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()  # bf16 is off by 1e-3


@pytest.mark.parametrize(
    ("kind", "name"),
    [(TensorProto.FLOAT, "float32"), (TensorProto.DOUBLE, "float64"), (TensorProto.UINT8, "uint8")],
)
def test_inputs_have_numpys_type_names_and_their_shapes(onnx_runtime, one_node, kind, name):
    path = one_node("same", "Identity", [helper.make_tensor_value_info("x", kind, ["N", 3, None])])
    if onnx_runtime.builds and kind == TensorProto.DOUBLE:
        pytest.skip("TensorRT has no such type")
    (found,) = opened(onnx_runtime, path).inputs()
    assert (found["name"], found["dtype"], found["shape"][1]) == ("x", name, 3)
    # an engine has the sizes that it was built for
    assert all(isinstance(axis, int) == onnx_runtime.builds for axis in (found["shape"][0], found["shape"][2]))


def test_what_cannot_be_loaded_is_said_in_plain_words(onnx_runtime, tmp_path, model, one_node):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model().read_bytes()[:100])
    unknown = one_node("odd", "Oddity", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])], domain="made.up")
    for path in (broken, unknown, tmp_path / "missing.onnx"):
        with pytest.raises(ValueError, match=r"^\S") as e:
            opened(onnx_runtime, path)
        assert "\n" not in str(e.value)
        assert ".cpp" not in str(e.value)
    with pytest.raises(ValueError, match="Oddity"):
        opened(onnx_runtime, unknown)


def test_nodes_are_timed_without_the_cold_inferences(runtime, tmp_path):
    image = np.zeros((1, 3, 64, 64), np.float32)
    session = opened(runtime, convolutions(tmp_path / "convolutions.onnx"), trace_in=str(tmp_path))
    for _ in range(3):
        session.run({"x0": image})
    whole_ms = []
    for _ in range(20):
        start = time.perf_counter()
        session.run({"x0": image})
        whole_ms.append(1e3 * (time.perf_counter() - start))
    nodes = [Node(**fields) for fields in session.nodes(3)]
    # nodes without their interruptions, which the slower half may have
    assert 0.2 * mean(sorted(whole_ms)[:10]) < sum(node.ms for node in nodes) < mean(whole_ms)
    assert {node.provider for node in nodes} == {session.provider}


def test_its_settings_are_what_open_takes_with_the_same_defaults(runtime):
    taken = inspect.signature(runtime.open).parameters
    assert set(taken) == {"path", "trace_in", *runtime.SETTINGS}
    for name, setting in runtime.SETTINGS.items():
        assert (taken[name].default or None) == (setting["default"] or None)
        assert settle(Variant(runtime=runtime.__name__.rpartition(".")[2], precision="fp32"))


def test_it_can_be_loaded_by_path_without_edgekd(runtime):
    code = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("any", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
assert module.formats
assert not [name for name in sys.modules if name.partition(".")[0] in ("edgekd", "onnx", "torch")]
"""
    subprocess.run([sys.executable, "-c", code, runtime.__file__], check=True)
