import resource

import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.simplify import simplified
from edgekd.errors import StorageError

RANDOM = np.random.default_rng(0)
WEIGHTS = {
    **{name: RANDOM.normal(size=(4, 4, 3, 3)) for name in ("a.weight", "b.weight", "c.weight")},
    **{name: RANDOM.uniform(0.5, 2, 4) for name in ("a.bias", "scale", "shift", "mean", "variance")},
    "k": RANDOM.uniform(0.5, 2, (1, 4, 1, 1)),
    "axes": np.array([2, 3]),
}
BN = ["scale", "shift", "mean", "variance"]


def normalised(layer, given, result):
    return [
        ("Conv", [given, *layer], f"{result}_c", {"pads": [1] * 4}),
        ("BatchNormalization", [f"{result}_c", *BN], result, {}),
    ]


def saved(chain, tmp_path, nodes):
    model = chain(nodes, WEIGHTS)
    for tensor in model.graph.initializer:
        if tensor.name == "axes":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([2, 3]), "axes"))
    onnx.save(model, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def same(path, model):
    image = RANDOM.normal(size=(1, 4, 8, 8)).astype(np.float32)
    expected, given = (
        onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": image})[0]
        for proto in (onnx.load(path), model)
    )
    np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-3)


def test_batch_normalisations_are_folded_and_weights_keep_their_names(chain, tmp_path):
    nodes = [*normalised(["a.weight", "a.bias"], "x", "p"), ("Relu", ["p"], "r", {})]
    nodes += normalised(["b.weight"], "r", "q")
    # a weight that two layers share, with another factor each
    nodes += [("Conv", ["q", "c.weight"], "u", {"pads": [1] * 4}), ("Mul", ["u", "k"], "s", {})]
    path = saved(chain, tmp_path, [*nodes, *normalised(["c.weight"], "s", "y")])
    found = simplified(path)
    assert {node.op_type for node in found.graph.node} == {"Conv", "Relu"}
    names = list(named(found.graph))
    assert names[:3] == ["a.weight", "b.weight", "c.weight"]
    assert len(names) == 4
    onnx.checker.check_model(found, full_check=True)
    same(path, found)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_mean_over_the_image_is_a_pooling(chain, tmp_path, kept):
    nodes = [("Conv", ["x", "a.weight"], "c", {}), ("ReduceMean", ["c", "axes"], "y", {"keepdims": kept})]
    path = saved(chain, tmp_path, nodes)
    found = simplified(path)
    assert [node.op_type for node in found.graph.node] == ["Conv", "GlobalAveragePool", *(["Flatten"] * (1 - kept))]
    same(path, found)


def test_a_hard_swish_is_a_hard_sigmoid_and_a_product(chain, tmp_path):
    path = saved(chain, tmp_path, [("Conv", ["x", "a.weight"], "c", {}), ("HardSwish", ["c"], "y", {})])
    found = simplified(path)
    assert [node.op_type for node in found.graph.node] == ["Conv", "HardSigmoid", "Mul"]
    same(path, found)


def test_a_full_disk_is_not_taken_for_a_fault_of_the_model(model):
    """A limit on the size of files stands in for it."""
    path, before = model(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    try:
        with pytest.raises(StorageError, match="can't write a temporary file") as e:
            simplified(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "TMPDIR" in e.value.hint
