import numpy as np
import pytest

from edgekd.deploy.check import EXACT, Tolerance, compare, failure
from edgekd.errors import UnsupportedModelError
from edgekd.values.deployment import Parity

COARSE = Tolerance(sqnr_db=8, top1_agreement=0.8)


def logits(seed=0):
    return np.random.default_rng(seed).normal(size=(200, 10)).astype(np.float32)


def test_equal_outputs_agree_fully():
    parity = compare(logits(), logits())
    assert (parity.max_difference, parity.top1_agreement, parity.sqnr_db) == (0.0, 1.0, 200.0)
    assert failure(parity, EXACT) is None


def test_sqnr_is_the_power_ratio_in_decibels():
    reference = np.full((4, 2), 3, np.float32)
    assert compare(reference, reference * np.float32(1.1)).sqnr_db == pytest.approx(20, abs=0.01)


def test_sqnr_is_at_most_what_is_said_of_an_exact_copy():
    reference, exported = np.array([[1e10, 0]], np.float32), np.array([[1e10, 1e-10]], np.float32)
    parity = compare(reference, exported)
    assert (parity.sqnr_db, parity.max_difference) == (200, pytest.approx(1e-10))


def test_another_network_fails_with_its_numbers():
    why = failure(compare(logits(0), logits(1)), EXACT)
    parity = compare(logits(0), logits(1))
    assert why == (
        f"differs from the network: SQNR {parity.sqnr_db:.1f} dB (at least 50), "
        f"top-1 agreement {100 * parity.top1_agreement:.1f}% (at least 99%), "
        f"max difference {np.abs(logits(0) - logits(1)).max():.3g} over 200 images"
    )
    assert -5 < parity.sqnr_db < 0
    assert 0 < parity.top1_agreement < 0.2


def test_what_just_keeps_the_tolerance_passes():
    parity = Parity(images=1, max_difference=0.1, sqnr_db=8, top1_agreement=0.8)
    assert failure(parity, COARSE) is None
    assert failure(parity.model_copy(update={"sqnr_db": 7.9}), COARSE) is not None
    assert failure(parity.model_copy(update={"top1_agreement": 0.79}), COARSE) is not None


def test_a_network_that_gives_zeros_and_a_file_that_does_not_are_far_apart():
    zeros = np.zeros((4, 2), np.float32)
    assert compare(zeros, zeros + np.float32(1)).sqnr_db == pytest.approx(-300)  # JSON has no infinity
    assert compare(zeros, zeros).sqnr_db == 200


def test_each_of_the_two_limits_decides():
    parity = compare(logits(), logits() + np.float32(0.1))
    assert (parity.sqnr_db, parity.top1_agreement) == (pytest.approx(20, abs=0.5), 1.0)
    assert failure(parity, Tolerance(sqnr_db=19, top1_agreement=1)) is None
    assert failure(parity, Tolerance(sqnr_db=21, top1_agreement=1)) is not None
    swapped = logits()
    swapped[0] = swapped[0][::-1]
    parity = compare(logits(), swapped)
    assert failure(parity, Tolerance(sqnr_db=0, top1_agreement=0.99)) is None
    assert failure(parity, Tolerance(sqnr_db=0, top1_agreement=1)) is not None


def test_int8_may_be_coarser_than_fp32_but_not_broken():
    noise = np.random.default_rng(2).normal(scale=0.01, size=(200, 10)).astype(np.float32)
    coarse = compare(logits(), logits() + noise)
    assert failure(coarse, EXACT) is not None
    assert failure(coarse, COARSE) is None
    assert failure(compare(logits(), -logits()), COARSE) is not None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(value):
    broken = logits()
    broken[3, 3] = value
    with pytest.raises(UnsupportedModelError, match="NaN"):
        compare(logits(), broken)


def test_fewer_classes_are_refused():
    with pytest.raises(UnsupportedModelError, match="shape"):
        compare(logits(), logits()[:, :6])
