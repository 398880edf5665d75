import numpy as np
import pytest

from edgekd.deploy.check import compare, failure
from edgekd.errors import UnsupportedModelError


def logits(seed=0):
    return np.random.default_rng(seed).normal(size=(200, 10)).astype(np.float32)


def test_equal_outputs_agree_fully():
    parity = compare(logits(), logits())
    assert (parity.max_difference, parity.top1_agreement, parity.sqnr_db) == (0.0, 1.0, 200.0)
    assert failure(parity, "fp32") is None


def test_sqnr_is_the_power_ratio_in_decibels():
    reference = np.ones((4, 2), np.float32)
    assert compare(reference, reference * np.float32(1.1)).sqnr_db == pytest.approx(20, abs=0.01)


def test_another_network_fails_with_its_numbers():
    why = failure(compare(logits(0), logits(1)), "fp32")
    assert why is not None
    assert "dB" in why
    assert "%" in why


def test_int8_may_be_coarser_than_fp32_but_not_broken():
    noise = np.random.default_rng(2).normal(scale=0.01, size=(200, 10)).astype(np.float32)
    coarse = compare(logits(), logits() + noise)
    assert failure(coarse, "fp32") is not None
    assert failure(coarse, "int8") is None
    assert failure(compare(logits(), -logits()), "int8") is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(value):
    broken = logits()
    broken[3, 3] = value
    with pytest.raises(UnsupportedModelError, match="NaN"):
        compare(logits(), broken)


def test_fewer_classes_are_refused():
    with pytest.raises(UnsupportedModelError, match="shape"):
        compare(logits(), logits()[:, :6])
