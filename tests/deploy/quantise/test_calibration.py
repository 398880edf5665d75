import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.deploy.quantise.calibration import calibrate
from edgekd.deploy.writers._base import Source
from edgekd.deploy.writers.onnxruntime import write
from edgekd.errors import StorageError, UnsupportedModelError

IMAGES = np.random.default_rng(0).normal(size=(6, 4, 8, 8)).astype(np.float32)
WITH_NAN = np.where(np.indices(IMAGES.shape)[0] == 4, np.nan, IMAGES)


@pytest.fixture
def saved(chain, tmp_path):
    """Saves a network of two layers, changed in some way, and tells what became of its calibration."""
    random = np.random.default_rng(0)
    weights = {"w": random.normal(size=(4, 4, 3, 3)), "b": random.normal(size=4), "v": random.normal(size=(4, 4, 3, 3))}
    nodes = [("Conv", ["x", "w", "b"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v"], "y", {})]

    def make(change=lambda model: None, nodes=nodes, **more):
        model = chain(nodes, {**weights, **more})
        change(model)
        onnx.save(model, tmp_path / "net.onnx")
        return tmp_path / "net.onnx"

    return make


def held(model, name):
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


def put(name, values):
    return lambda model: held(model, name).CopyFrom(numpy_helper.from_array(values, name))


def odd(value):
    weight = np.ones((4, 4, 3, 3), np.float32)
    weight[1, 2, 0, 0] = value
    return put("v", weight)


def of_type(kind, name):
    def change(model):
        for tensor in model.graph.initializer:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(name), tensor.name))
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.elem_type = kind
        del model.graph.value_info[:]

    return change


def with_node(op, domain="", **attributes):
    def change(model):
        model.graph.node.append(helper.make_node(op, ["y"], ["z"], "extra", domain=domain, **attributes))
        if domain:
            model.opset_import.append(helper.make_opsetid(domain, 1))

    return change


def branching(model):
    bodies = {}
    for name in ("then_branch", "else_branch"):
        value = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        bodies[name] = helper.make_graph([helper.make_node("Identity", ["y"], [name])], name, [], [value])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "always"))
    model.graph.node.append(helper.make_node("If", ["always"], ["z"], "choice", **bodies))


def batch_of(size):
    def change(model):
        for value in (*model.graph.input, *model.graph.output):
            if value.type.tensor_type.shape.dim:
                axis = value.type.tensor_type.shape.dim[0]
                axis.dim_param, axis.dim_value = ("N", 0) if size is None else ("", size)
                if size is None:
                    axis.ClearField("dim_value")
                    axis.dim_param = "N"
        del model.graph.value_info[:]

    return change


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (odd(np.nan), "its weight 'v' has NaN", "diverged"),
        (odd(np.inf), "its weight 'v' has infinity", "diverged"),
        (of_type(TensorProto.FLOAT16, np.float16), "its input 'x' is float16", "fp32 file"),
        (of_type(TensorProto.DOUBLE, np.float64), "its input 'x' is float64", "float32"),
        (with_node("QuantizeLinear"), "is quantised already", "fp32 file"),
        (with_node("Mine", "my.own"), "isn't ONNX's own: my.own::Mine", "ONNX's operators alone"),
        (branching, "has control flow (If 'choice')", "without it"),
        (batch_of(8), "takes 8 images at a time", "batch of 1"),
    ],
)
def test_what_cannot_be_calibrated_is_named_and_leaves_nothing(saved, tmp_path, change, said, hint):
    folder = tmp_path / "calibration"
    folder.mkdir()
    with pytest.raises(UnsupportedModelError) as raised:
        calibrate(saved(change), lambda: IMAGES, folder)
    assert said in raised.value.message
    assert hint in raised.value.hint
    assert not [*folder.iterdir()]


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (IMAGES[:0], "there are no calibration images"),
        (IMAGES * 0, "all calibration images are 0"),
        (WITH_NAN, "calibration image 5 has NaN or infinity"),
        (IMAGES * 5e37, "the output r of the Relu is NaN or infinity on calibration image 1"),
    ],
)  # fmt: skip
def test_images_that_say_nothing_are_refused(saved, tmp_path, images, said):
    with pytest.raises(UnsupportedModelError, match=said):
        calibrate(saved(), lambda: images.astype(np.float32), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_missing_external_data_is_named(saved, tmp_path):
    path = saved()
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.data", size_threshold=0)
    (tmp_path / "net.data").unlink()
    with pytest.raises(StorageError, match=r"net\.data is missing"):
        calibrate(path, lambda: IMAGES, tmp_path)


def test_weights_beyond_what_a_file_holds_are_refused(saved, tmp_path):
    def huge(model):
        held(model, "v").dims[:] = [700_000_000]

    with pytest.raises(UnsupportedModelError, match=r"its weights take 2\.8 GB"):
        calibrate(saved(huge), lambda: IMAGES, tmp_path)


def as_defined(path, images):
    """What a file gives by ONNX's definitions, without fused kernels."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])


def close(path, tmp_path, images=IMAGES):
    source = Source(path, calibrate(path, lambda: IMAGES, tmp_path).read(lambda: IMAGES))
    write(source, "int8", tmp_path / "int8.onnx")
    onnx.checker.check_model(str(tmp_path / "int8.onnx"), full_check=True)
    expected, given = (as_defined(file, images) for file in (path, tmp_path / "int8.onnx"))
    return np.abs(given - expected).max() / max(np.abs(expected).max(), 1e-9)


def test_two_layers_share_a_weight(saved, tmp_path):
    nodes = [("Conv", ["x", "w", "b"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "w"], "y", {})]
    path = saved(nodes=nodes)
    assert close(path, tmp_path) < 0.05
    kept = [t for t in onnx.load(tmp_path / "int8.onnx").graph.initializer if t.data_type == TensorProto.INT8]
    assert [list(tensor.dims) for tensor in kept if tensor.dims and len(tensor.dims) > 1] == [[4, 4, 3, 3]]


def test_a_layer_that_reads_nothing_but_zeros_gives_its_bias(saved, tmp_path):
    # a dead rectifier, and weights of nothing but zeros
    dead = {"b": np.full(4, -1e6), "k": np.linspace(0.001, 1, 4)}
    nodes = [("Conv", ["x", "w", "b"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v", "k"], "y", {})]
    assert close(saved(nodes=nodes, **dead), tmp_path) < 0.01
    assert close(saved(nodes=nodes, v=np.zeros((4, 4, 3, 3)), k=np.ones(4)), tmp_path) < 0.01


def test_an_open_batch_axis_stays_open(saved, tmp_path):

    path = saved(batch_of(None))
    source = Source(path, calibrate(path, lambda: IMAGES, tmp_path).read(lambda: IMAGES))
    written = write(source, "int8", tmp_path / "int8.onnx")
    assert onnxruntime.InferenceSession(written).run(None, {"x": IMAGES})[0].shape == (6, 4, 4, 4)
