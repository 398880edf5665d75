import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from edgekd.deploy.quantise import placement_onnxruntime, placement_tensorrt
from edgekd.deploy.quantise.observe import observe
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.scales import S8S8, SYMMETRIC, U8S8
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS

IMAGES = np.random.default_rng(1).normal(size=(8, 4, 8, 8)).astype(np.float32)
RANDOM = np.random.default_rng(0)
WEIGHTS = {"w": RANDOM.normal(size=(4, 4, 3, 3)), "b": RANDOM.normal(size=4), "v": RANDOM.normal(size=(6, 4, 3, 3))}


def ranges_of(model):
    found = {name: (one.low, one.high) for name, one in observe(model, IMAGES, samples=0).items()}
    return Ranges(images=8, method="min-max", tensors=found)


def outputs(model, level="ORT_ENABLE_ALL"):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.add_session_config_entry(*EXACT_INTEGERS)
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.concatenate(parts) for parts in zip(*(session.run(None, {"x": i[None]}) for i in IMAGES), strict=True)]


def sqnr_db(expected, given):
    return 10 * np.log10((expected**2).mean() / ((given - expected) ** 2).mean())


@pytest.mark.parametrize("scheme", [U8S8, S8S8])
def test_an_output_that_is_read_as_well_is_given_behind_its_pair(chain, scheme):
    nodes = [("Conv", ["x", "w", "b"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v"], "y", {})]
    model = chain(nodes, WEIGHTS, outputs=("r", "y"))
    quantised = with_qdq(model, placement_onnxruntime.placement(model.graph), ranges_of(model), scheme)
    onnx.checker.check_model(quantised, full_check=True)
    assert [output.name for output in quantised.graph.output] == ["r", "y"]
    for level in ("ORT_ENABLE_ALL", "ORT_DISABLE_ALL"):
        for expected, given in zip(outputs(model), outputs(quantised, level), strict=True):
            assert sqnr_db(expected, given) > 35


def test_names_that_are_taken_are_left_alone(chain):
    # as the exporter names a bias that it folded, and as pairs would be named
    weights = {**WEIGHTS, "w_bias": WEIGHTS["b"], "x_scale": np.ones(4).reshape(1, 4, 1, 1)}
    nodes = [("Conv", ["x", "w", "w_bias"], "c", {}), ("Conv", ["c", "v"], "d", {}), ("Mul", ["x", "x_scale"], "m", {})]
    model = chain([*nodes, ("Conv", ["m", "w"], "y", {})], weights, outputs=("d", "y"))
    quantised = with_qdq(model, placement_onnxruntime.placement(model.graph), ranges_of(model), U8S8)
    onnx.checker.check_model(quantised, full_check=True)
    for expected, given in zip(outputs(model), outputs(quantised, "ORT_DISABLE_ALL"), strict=True):
        assert sqnr_db(expected, given) > 35


def test_zero_is_exact_and_everything_fits_the_integers(chain):
    model = chain([("Conv", ["x", "w", "b"], "y", {})], WEIGHTS)
    one_sided = {"x": (2.0, 5.0), "y": (-30.0, -1.0)}
    ranges = Ranges(images=8, method="min-max", tensors=one_sided)
    for scheme, least, most in ((U8S8, 0, 255), (S8S8, -128, 127)):
        quantised = with_qdq(model, placement_onnxruntime.placement(model.graph), ranges, scheme)
        held = {tensor.name: numpy_helper.to_array(tensor) for tensor in quantised.graph.initializer}
        assert (held["x_zero_point"], held["y_zero_point"]) == (least, most)
        assert held["x_scale"] == pytest.approx(5 / 255)
        assert held["w_int8"].min() >= -127
        assert held["w_bias"].dtype == np.int32
        assert held["w_bias_scale"] == pytest.approx(held["x_scale"] * held["w_scale"])


def test_tensorrt_gets_only_the_named_layers(chain):
    model = chain([("Conv", ["x", "w", "b"], "c", {}), ("Conv", ["c", "v"], "y", {})], WEIGHTS)
    quantised = with_qdq(model, placement_tensorrt.placement(model.graph, {"v"}), ranges_of(model), SYMMETRIC)
    made_by = {output: node.op_type for node in quantised.graph.node for output in node.output}
    first, second = (node for node in quantised.graph.node if node.op_type == "Conv")
    assert [made_by.get(name) for name in first.input] == [None, None, None]
    assert [made_by[name] for name in second.input] == ["DequantizeLinear"] * 2
    assert {t.data_type for t in quantised.graph.initializer} == {TensorProto.FLOAT, TensorProto.INT8}


@pytest.mark.parametrize(("mode", "integer"), [("nearest", True), ("linear", True), ("cubic", False)])
def test_images_are_resized_in_integers_where_there_is_a_kernel(chain, mode, integer):
    weights = {**WEIGHTS, "twice": np.array([1, 1, 2, 2])}
    nodes = [("Conv", ["x", "w", "b"], "c", {}), ("Resize", ["c", "", "twice"], "u", {"mode": mode})]
    model = chain([*nodes, ("Conv", ["u", "v"], "y", {})], weights)
    placed = placement_onnxruntime.placement(model.graph)
    assert ("u" in placed.like) is integer
    (expected,), (given,) = outputs(model), outputs(with_qdq(model, placed, ranges_of(model), U8S8))
    assert sqnr_db(expected, given) > 30
