import math
import random
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest

from edgekd.errors import MeasurementError
from edgekd.measuring.statistics import lower_bound, paired_ratios, percentile, ratio, samples_needed, upper_bound
from edgekd.values import MeasuringProtocol, RuntimeInfo, Variant


def exactly(n, p):
    """P(Binomial(n, p/100) < k) for k = 0 … n, from integers."""
    of = 1000 - (hits := round(p * 10))
    terms = [math.comb(n, i) * hits**i * of ** (n - i) for i in range(n)]
    return [0.0, *(Fraction(total, 1000**n) for total in accumulate(terms))]


@pytest.mark.parametrize("p", [0, 1, 37.5, 50, 90, 99, 100])
def test_percentile_is_numpys(p):
    samples = random.Random(1).sample(range(1000), 57)
    assert percentile(samples, p) == pytest.approx(np.percentile(samples, p))


def test_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


@pytest.mark.parametrize(
    ("p", "confidence", "needed"),
    [(50, 0.95, 5), (90, 0.95, 29), (95, 0.95, 59), (99, 0.95, 299), (50, 0.99, 7), (90, 0.99, 44), (99, 0.99, 459)],
)
def test_a_bound_exists_from_the_least_sufficient_number_of_samples(p, confidence, needed):
    assert samples_needed(p, confidence) == needed
    assert upper_bound(range(needed - 1), p, confidence) is None
    assert upper_bound(range(needed), p, confidence) == needed - 1  # the largest sample
    assert lower_bound(range(needed - 1), 100 - p, confidence) is None
    assert lower_bound(range(needed), 100 - p, confidence) == 0


@pytest.mark.parametrize("p", [10, 50, 90, 95, 99])
@pytest.mark.parametrize("n", [5, 29, 59, 299, 300, 640])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
def test_bounds_are_the_tightest_ranks_of_the_exact_binomial(n, p, confidence):
    ranks = range(1, n + 1)  # the k-th smallest sample is k
    below = exactly(n, p)
    enough = [k for k in ranks if below[k] >= confidence]
    assert upper_bound(ranks, p, confidence) == (enough[0] if enough else None)
    above = [k for k in ranks if 1 - below[k] >= confidence]
    assert lower_bound(ranks, p, confidence) == (above[-1] if above else None)


def test_bounds_of_a_million_samples_are_near_the_normal_approximation():
    n, q = 1_000_000, 0.99
    expected = n * q + 1.6449 * math.sqrt(n * q * (1 - q))
    assert upper_bound(range(n), 99) == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("p", [50, 90, 99])
def test_upper_bound_covers_the_true_percentile_as_often_as_it_says(p):
    generator = random.Random(3)
    true = -math.log(1 - p / 100)  # of the exponential distribution
    covered = sum(upper_bound([generator.expovariate(1) for _ in range(320)], p) >= true for _ in range(300))
    assert covered / 300 >= 0.91  # 0.95 less three standard deviations


def test_ratio_of_the_same_samples_is_one(measurement):
    same = measurement()
    found = ratio(same, same)
    assert (found.estimate, found.low, found.high) == (1, 1, 1)


def test_ratio_sees_through_a_machine_that_slows_down(measurement):
    generator = random.Random(5)
    base = [[[s * generator.gauss(1, 0.01) for _ in range(9)] for s in (1, 1, 3, 1, 2)] for _ in range(5)]
    slower = [[[s * 1.2 * generator.gauss(1, 0.01) for _ in range(9)] for s in (1, 1, 3, 1, 2)] for _ in range(5)]
    found = ratio(measurement(slower), measurement(base))
    assert found.low < 1.2 < found.high
    assert found.high - found.low < 0.03


def test_ratio_interval_covers_the_truth_as_often_as_it_says(measurement):
    generator = random.Random(7)
    covered = 0
    for _ in range(60):
        ours, base = ([], [])
        for _ in range(5):
            layout = generator.gauss(1, 0.003)  # a launch's memory layout shifts all of its blocks
            base.append([[generator.gauss(1, 0.01) for _ in range(3)] for _ in range(20)])
            ours.append([[0.5 * layout * generator.gauss(1, 0.01) for _ in range(3)] for _ in range(20)])
        found = ratio(measurement(ours), measurement(base))
        covered += found.low <= 0.5 <= found.high
    assert covered / 60 >= 0.88


def test_a_launch_that_differs_from_the_others_widens_the_interval(measurement):
    base = measurement([[[1.0] * 3] * 20] * 5)
    alike = measurement([[[0.5 + 0.01 * (i % 5)] * 3 for i in range(20)]] * 5)
    apart = measurement([[[0.5 + 0.01 * launch] * 3] * 20 for launch in range(5)])
    assert ratio(apart, base).high - ratio(apart, base).low > 2 * (ratio(alike, base).high - ratio(alike, base).low)


def test_pairs_are_the_blocks_of_one_round(measurement):
    ours, base = measurement([[[2, 2], [9, 9]], [[4, 4]]]), measurement([[[1, 1], [3, 3]], [[8, 8]]])
    assert paired_ratios(ours, base) == [[2, 3], [0.5]]


def test_what_was_measured_otherwise_does_not_compare(measurement):
    base = measurement()
    elsewhere = base.host.model_copy(update={"cpu": "other", "governor": "powersave"})
    for unlike, says in (
        (measurement(session="two"), "different sessions"),
        (measurement(host=elsewhere), "cpu is 'other' and 'some'; host: governor is 'powersave'"),
        (measurement(device="ssh://board"), "the devices are ssh://board and local:"),
        (measurement(protocol=MeasuringProtocol(batch=2)), "protocol: batch is 2 and 1"),
        (measurement([[[1.0]] * 3] * 5), "numbers of blocks differ"),
    ):
        with pytest.raises(MeasurementError, match=says):
            ratio(unlike, base)


def test_too_few_pairs_and_blocks_of_no_time_are_refused(measurement):
    few = measurement([[[1.0]] * 4])
    with pytest.raises(MeasurementError, match="4 pairs"):
        ratio(few, few)
    with pytest.raises(MeasurementError, match="0 ms"):
        ratio(measurement(), measurement([[[0.0] * 20] * 4] * 5))


def test_what_is_compared_may_differ(measurement):
    """Runtime, precision and settings: an OpenVINO file on two threads beside ONNX Runtime's on one."""
    base, other = measurement(), measurement([[[0.5] * 20] * 4] * 5)
    variant = Variant(runtime="openvino", precision="bf16", settings={"threads": 2})
    run_by = RuntimeInfo(name="openvino", version="2026.1", provider="CPU", settings={"threads": 2})
    changes = {"artifact": other.artifact.model_copy(update={"variant": variant}), "runtime": run_by}
    assert ratio(other.model_copy(update=changes), base).estimate == 0.5
