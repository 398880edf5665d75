import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper

from edgekd.deploy.quantise.choice import chosen
from edgekd.deploy.quantise.equalise import equalised
from edgekd.deploy.quantise.observe import observe


def outputs(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])


def images(n):
    return np.random.default_rng(1).normal(size=(n, 4, 8, 8)).astype(np.float32)


def uneven(rows):
    """Weights of that many output channels, whose magnitudes differ a thousandfold."""
    return np.geomspace(0.01, 10, rows).reshape(-1, 1, 1, 1)


@pytest.fixture
def weights():
    random = np.random.default_rng(0)
    return {
        "w": random.normal(size=(8, 4, 1, 1)) * uneven(8),
        "b": random.normal(size=8) * uneven(8).reshape(-1),
        "d": random.normal(size=(8, 1, 3, 3)),
        "v": random.normal(size=(6, 8, 1, 1)) / uneven(8).reshape(1, -1, 1, 1),
        "g": random.normal(size=(6, 4, 1, 1)),
        "six": np.array(6.0),
        "none": np.array(0.0),
    }


MOBILE = [
    ("Conv", ["x", "w", "b"], "c", {}),
    ("Relu", ["c"], "r", {}),
    ("Conv", ["r", "d"], "e", {"group": 8}),
    ("LeakyRelu", ["e"], "s", {"alpha": 0.1}),
    ("MaxPool", ["s"], "p", {"kernel_shape": [2, 2]}),
]


@pytest.mark.parametrize("last", [("v", 1), ("g", 2)])
def test_the_function_stays_and_channels_become_alike(chain, weights, last):
    weight, groups = last
    model = chain([*MOBILE, ("Conv", ["p", weight], "y", {"group": groups})], weights)
    given = images(8)
    observed = observe(model, given, samples=0)
    other = equalised(model, observed)
    np.testing.assert_allclose(outputs(other, given), outputs(model, given), rtol=1e-3, atol=1e-3)
    now = observe(other, given, samples=0)
    for name in ("r", "p"):
        before, after = (one[name].greatest.max() / one[name].greatest.min() for one in (observed, now))
        assert after < before / 5
    assert {tensor.name for tensor in other.graph.initializer} == {tensor.name for tensor in model.graph.initializer}
    kept = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(kept["w"], weights["w"].astype(np.float32))


@pytest.mark.parametrize(
    "nodes",
    [
        # an upper bound doesn't scale
        [("Clip", ["c", "none", "six"], "r", {}), ("Conv", ["r", "d"], "y", {"group": 8})],
        [("HardSigmoid", ["c"], "r", {}), ("Conv", ["r", "d"], "y", {"group": 8})],
        # something else reads what is between
        [
            ("Relu", ["c"], "r", {}),
            ("Conv", ["r", "d"], "e", {"group": 8, "pads": [1] * 4}),
            ("Add", ["e", "r"], "y", {}),
        ],
        # a weight of two layers
        [("Relu", ["c"], "r", {}), ("Conv", ["r", "k"], "e", {}), ("Conv", ["e", "k"], "y", {})],
    ],
)
def test_what_does_not_scale_is_left_as_it_is(chain, weights, nodes):
    weights = {**weights, "k": np.ones((8, 8, 1, 1))}
    model = chain([MOBILE[0], *nodes], weights)
    assert equalised(model, observe(model, images(2), samples=0)) is None


def test_dead_channels_stay(chain, weights):
    weights["w"][3] = weights["b"][3] = 0
    weights["v"][:, 5] = 0
    model = chain([*MOBILE[:2], ("Conv", ["r", "v"], "y", {})], weights)
    other = equalised(model, observe(model, images(2), samples=0))
    assert all(np.isfinite(numpy_helper.to_array(tensor)).all() for tensor in other.graph.initializer)
    np.testing.assert_allclose(outputs(other, images(2)), outputs(model, images(2)), rtol=1e-3, atol=1e-3)


def test_it_is_kept_only_where_int8_keeps_more_of_the_outputs(chain, weights):
    model = chain([*MOBILE[:2], ("Conv", ["r", "v"], "y", {})], weights)
    given = images(64)
    kept, found = chosen(model, given)
    plain, before = chosen(model, given, equalise=False)
    assert plain is model
    assert kept is not model
    assert (found.equalised, before.equalised) == (True, False)
    assert max(found.sqnr_db.values()) > max(before.sqnr_db.values()) + 10
    even = {**weights, "w": np.eye(8, 4)[..., None, None], "b": np.zeros(8), "q": np.ones((6, 8, 1, 1))}
    model = chain([*MOBILE[:2], ("Conv", ["r", "q"], "y", {})], even)
    assert chosen(model, given)[0] is model
