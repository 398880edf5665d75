import numpy as np
import pytest

from edgekd.deploy.quantise.clipping import METHODS, ranges_by_method
from edgekd.deploy.quantise.observe import Observed


def observed(samples):
    samples = np.asarray(samples, np.float32)
    one = np.zeros(1)
    return Observed(float(samples.min()), float(samples.max()), samples, one, one)


def error(samples, low, high):
    """The mean squared error of 255 steps."""
    step = (high - low) / 255
    zero = np.rint(-low / step)
    rounded = (np.clip(np.rint(samples / step) + zero, 0, 255) - zero) * step
    return ((rounded - samples) ** 2).mean()


@pytest.fixture
def laplace():
    return np.random.default_rng(0).laplace(size=2**16)


def test_each_method_clips_within_the_extremes(laplace):
    found = ranges_by_method(observed(laplace))
    assert set(found) == set(METHODS)
    low, high = found["min-max"]
    assert (low, high) == pytest.approx((laplace.min(), laplace.max()), rel=1e-6)
    for name, (a, b) in found.items():
        assert low <= a < 0 < b <= high
        if name not in ("min-max", "entropy"):
            assert b - a < high - low


def test_a_percentile_leaves_that_fraction_at_both_ends(laplace):
    low, high = ranges_by_method(observed(laplace))["percentile-99.99"]
    assert (laplace > high).mean() == pytest.approx(1e-4, abs=3e-5)
    assert (laplace < low).mean() == pytest.approx(1e-4, abs=3e-5)


def test_the_least_squares_range_is_better_than_every_other(laplace):
    laplace = np.append(laplace, [60.0, -25.0])
    found = ranges_by_method(observed(laplace))
    errors = {name: error(laplace, *between) for name, between in found.items()}
    assert min(errors, key=errors.get) == "mse"
    assert errors["mse"] < 0.9 * errors["min-max"]
    for factor in (0.7, 1.4):
        assert errors["mse"] <= error(laplace, *(factor * bound for bound in found["mse"]))


def test_rectified_values_have_a_range_from_zero(laplace):
    for low, high in ranges_by_method(observed(np.maximum(laplace, 0))).values():
        assert low == 0.0
        assert high > 0


def test_entropy_cuts_off_a_lonely_outlier_and_keeps_uniform_values():
    uniform = np.random.default_rng(0).uniform(0, 1, 2**16)
    low, high = ranges_by_method(observed(uniform))["entropy"]
    assert (low, high) == (0.0, pytest.approx(1.0, abs=0.02))
    assert ranges_by_method(observed(np.append(uniform, 5.0)))["entropy"][1] < 2


@pytest.mark.parametrize("values", [[0.0] * 50, [3.0] * 50, [0.0] * 5000 + [2.0]])
def test_constants_and_what_is_hardly_ever_anything_have_a_range(values):
    for low, high in ranges_by_method(observed(values)).values():
        assert low == 0.0
        assert high <= max(values)
        assert high > 0 or not any(values)
