import numpy as np
import pytest

from edgekd.deploy.quantise.observe import observe
from edgekd.errors import UnsupportedModelError


@pytest.fixture
def model(chain):
    weights = {"w": np.random.default_rng(0).normal(size=(6, 4, 3, 3)), "v": np.ones((2, 6, 1, 1))}
    return chain([("Conv", ["x", "w"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", "v"], "y", {})], weights)


def images(n):
    return np.random.default_rng(1).normal(size=(n, 4, 8, 8)).astype(np.float32)


def test_extremes_and_means_are_exact_and_samples_are_of_every_image(model):
    given = images(10)
    found = observe(model, given, samples=500)
    # what a rectifier alone reads isn't looked at
    assert set(found) == {"x", "r", "y"}
    x = found["x"]
    assert (x.low, x.high) == (given.min(), given.max())
    assert x.mean == pytest.approx(given.mean((0, 2, 3)), rel=1e-4)
    assert x.greatest == pytest.approx(np.abs(given).max((0, 2, 3)))
    assert 500 <= x.samples.size <= 700
    for image in given:
        assert np.isin(image, x.samples).any()
    assert found["r"].low == 0.0


def test_it_is_the_same_each_time_and_samples_cost_nothing_where_none_are_wanted(model):
    first, second = (observe(model, images(5), samples=300) for _ in range(2))
    for name, one in first.items():
        np.testing.assert_array_equal(one.samples, second[name].samples)
    assert observe(model, images(5), samples=0)["y"].samples.size == 0


def test_an_activation_that_is_not_finite_is_named_with_the_image_and_its_layer(model):
    given = images(3)
    given[2, 0, 4, 4] = 3e38
    with pytest.raises(
        UnsupportedModelError, match="the output r of the Relu is NaN or infinity on calibration image 3"
    ):
        observe(model, given, samples=0)
    given[1, 0, 0, 0] = np.nan
    with pytest.raises(UnsupportedModelError, match=r"the .* is NaN or infinity on calibration image 2"):
        observe(model, given, samples=0)
