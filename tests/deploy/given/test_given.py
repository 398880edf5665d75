"""A given file: each thing that variants can't be made of has its message, and the rest is prepared for one image."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from edgekd import onnx_file
from edgekd.deploy.export import export_onnx
from edgekd.deploy.given.prepared import prepared
from edgekd.deploy.given.usable import require_usable
from edgekd.errors import StorageError, UnsupportedModelError

F = TensorProto.FLOAT


def network(
    tmp_path,
    *,
    kind=F,
    shape=("N", 3, 8, 8),
    nodes=(),
    weight=None,
    opset=17,
    outputs=("y",),
    inputs=(),
    external=False,
    domains=(),
    metadata=None,
):
    """A convolution, its mean over the image, and four logits."""
    random = np.random.default_rng(0)
    w = random.standard_normal((4, 3, 3, 3)).astype(np.float32) if weight is None else weight
    first = [helper.make_node("Cast", ["x"], ["float"], to=F)] if kind == TensorProto.UINT8 else []
    taken = "float" if first else "x"
    own = [
        *first,
        helper.make_node("Conv", [taken, "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["y"], "flatten"),
        *nodes,
    ]
    floats = kind if kind != TensorProto.UINT8 else F
    graph = helper.make_graph(
        own,
        "g",
        [helper.make_tensor_value_info("x", kind, shape), *inputs],
        [helper.make_tensor_value_info(name, floats, None) for name in outputs],
        [numpy_helper.from_array(w, "w")],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=8)
    helper.set_model_props(model, metadata or {})
    path = tmp_path / "net.onnx"
    if external:
        onnx.save(model, path, save_as_external_data=True, location="net.data", size_threshold=0)
    else:
        onnx.save(model, path)
    return path


def value(name, kind=F, shape=("N", 3, 8, 8)):
    return helper.make_tensor_value_info(name, kind, shape)


def branch():
    graph = helper.make_graph(
        [helper.make_node("Identity", ["y"], ["z"])], "b", [], [helper.make_tensor_value_info("z", F, None)]
    )
    condition = helper.make_node("Constant", [], ["true"], value=helper.make_tensor("t", TensorProto.BOOL, [], [True]))
    return [condition, helper.make_node("If", ["true"], ["z"], "choose", then_branch=graph, else_branch=graph)]


SCALES = [
    helper.make_node("Constant", [], ["s"], value=helper.make_tensor("s", F, [], [0.1])),
    helper.make_node("QuantizeLinear", ["y", "s"], ["q"], "quantise"),
]


@pytest.mark.parametrize(
    ("how", "said", "hint"),
    [
        ({"nodes": SCALES}, "is quantised already (QuantizeLinear 'quantise')", "fp32 file that it was made from"),
        ({"weight": np.ones((4, 3, 3, 3), np.float16), "kind": TensorProto.FLOAT16}, "'x' is float16", "fp32 file"),
        ({"weight": np.ones((4, 3, 3, 3), np.float64), "kind": TensorProto.DOUBLE}, "'x' is float64", "float32"),
        ({"weight": np.full((4, 3, 3, 3), np.nan, np.float32)}, "its weight 'w' has NaN", "export the model again"),
        ({"weight": np.full((4, 3, 3, 3), np.inf, np.float32)}, "its weight 'w' has infinity", "diverged"),
        (
            {"nodes": [helper.make_node("Mine", ["y"], ["z"], "own", domain="my.ops")], "domains": ["my.ops"]},
            "isn't ONNX's own: my.ops::Mine 'own'",
            "ONNX's operators alone",
        ),
        ({"nodes": branch()}, "control flow (If 'choose')", "edgekd profile"),
        ({"nodes": [helper.make_node("NonZero", ["y"], ["z"], "where")]}, "(NonZero 'where')", "post-processing"),
        ({"inputs": [value("other")]}, "has 2 inputs (x, other)", "one input"),
        ({"shape": (8, 3, 8, 8)}, "takes 8 images at a time", "open batch axis"),
        ({"shape": ("N", 3, "H", "W")}, "its axes N, H, W are open", "--size 224"),
        ({"kind": TensorProto.INT64}, "its input 'x' is int64", "float32 or uint8"),
        ({"opset": 99}, f"has opset 99, and onnx {onnx.__version__} on this machine reads", "pip install -U onnx"),
    ],
)
def test_what_variants_cannot_be_made_of_is_named(tmp_path, how, said, hint):
    with pytest.raises(UnsupportedModelError) as raised:
        prepared(network(tmp_path, **how), None, None)
    assert said in raised.value.message
    assert hint in raised.value.hint
    assert "net.onnx" in raised.value.message


def test_weights_of_more_than_two_gigabytes_are_refused_before_they_are_read(tmp_path):
    path = network(tmp_path)
    model = onnx_file.read(path)
    model.graph.initializer[0].dims[:] = [600_000_000]
    with pytest.raises(UnsupportedModelError, match=r"its weights take 2\.4 GB"):
        require_usable(model, path)


def test_missing_external_data_is_named(tmp_path):
    path = network(tmp_path, external=True)
    (tmp_path / "net.data").unlink()
    with pytest.raises(StorageError, match=r"net\.data is missing"):
        prepared(path, None, None)


def test_a_single_infinite_number_is_no_weight(tmp_path):
    clip = [
        helper.make_node("Constant", [], ["inf"], value=helper.make_tensor("inf", F, [], [np.inf])),
        helper.make_node("Clip", ["y", "", "inf"], ["z"]),
    ]
    prepared(network(tmp_path, nodes=clip, outputs=("z",)), None, None)


def test_an_open_batch_becomes_one_image_and_the_outputs_are_the_same(tmp_path):
    path = network(tmp_path, external=True, opset=11)
    model, given = prepared(path, None, None)
    assert given.takes.shape == (1, 3, 8, 8)
    assert given.takes.layout == "NCHW"
    assert (given.classes, given.changed, given.outputs) == (4, True, ("y",))
    notes = " ".join(given.notes)
    assert "axes N are open; the input x of the variants is 1x3x8x8" in notes
    assert "in opset 13; the given file is in 11" in notes
    assert "second file" in notes
    images = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    ours = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": images})[0]
    theirs = onnxruntime.InferenceSession(path).run(None, {"x": images})[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_file_that_needs_no_change_is_not_said_to_be_changed(tmp_path):
    _, given = prepared(network(tmp_path, shape=(1, 3, 8, 8)), None, None)
    assert (given.changed, given.notes) == (False, ())


def test_a_size_is_taken_where_it_is_open_and_refused_where_it_contradicts(tmp_path):
    path = network(tmp_path, shape=("N", 3, "H", "W"))
    assert prepared(path, (6, 10), None)[1].takes.shape == (1, 3, 6, 10)
    assert prepared(network(tmp_path, shape=(-1, 3, -1, -1)), (6, 10), None)[1].takes.shape == (1, 3, 6, 10)
    path = network(tmp_path)
    with pytest.raises(UnsupportedModelError, match="takes images of 8x8 pixels"):
        prepared(network(tmp_path), (6, 10), None)


def test_an_opset_above_what_the_runtimes_read_is_lowered(tmp_path):
    model, given = prepared(network(tmp_path, shape=(1, 3, 8, 8), opset=18), None, 17)
    assert next(entry.version for entry in model.opset_import if not entry.domain) == 17
    assert given.changed


@pytest.fixture
def of_pytorch(tmp_path):
    """What its exporter writes of a mean over the image, in opset 18: with `noop_with_empty_axes`, which 17 has not."""
    path = tmp_path / "net.onnx"
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4))
    export_onnx(network.eval(), torch.zeros(1, 3, 8, 8), path)
    assert onnx.load(path).opset_import[0].version == 18
    return path


def test_what_pytorchs_exporter_writes_is_lowered_to_what_tensorrt_8_reads(of_pytorch):
    model, given = prepared(of_pytorch, None, 17)
    assert model.opset_import[0].version == 17, given.notes
    images = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    ours, theirs = (
        onnxruntime.InferenceSession(file).run(None, {"input": images})[0]
        for file in (model.SerializeToString(), of_pytorch)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_an_operator_with_what_a_lower_opset_has_not_is_not_lowered(of_pytorch):
    model = onnx.load(of_pytorch)
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    (stated,) = (each for each in mean.attribute if each.name == "noop_with_empty_axes")
    stated.i = 1
    onnx.save(model, of_pytorch)
    _, given = prepared(of_pytorch, None, 17)
    assert "its opset 18 can't be converted to 17" in " ".join(given.notes)


def test_metadata_of_edgekd_is_read_and_other_text_is_not_used(tmp_path):
    how = '{"height": 8, "width": 8, "colour": "rgb", "mean": [0.5], "std": [0.5], "normalised_by": "caller"}'
    metadata = {"edgekd.preprocessing": how, "edgekd.classes": '["a", "b", "c", "d"]'}
    _, given = prepared(network(tmp_path, metadata=metadata), None, None)
    assert given.takes.classes == ("a", "b", "c", "d")
    assert given.takes.preprocessing.mean == (0.5,)
    _, given = prepared(network(tmp_path, metadata={"edgekd.classes": "junk"}), None, None)
    assert given.takes.classes is None
    assert "can't be read, and isn't used" in " ".join(given.notes)


def test_pixels_are_taken(tmp_path):
    _, given = prepared(network(tmp_path, kind=TensorProto.UINT8), None, None)
    assert given.takes.dtype == "uint8"
