import math
import random
import statistics

import pytest

from edgekd.studies._statistics import paired_interval, pareto_ranks


def test_the_interval_covers_the_mean_as_often_as_it_says():
    generator = random.Random(1)
    held = 0
    for _ in range(2000):
        control = {seed: generator.gauss(70, 5) for seed in range(3)}
        ours = {seed: value + generator.gauss(1.5, 1) for seed, value in control.items()}
        _, interval, n = paired_interval(ours, control)
        assert n == 3
        held += interval.low <= 1.5 <= interval.high
    assert 0.935 < held / 2000 < 0.965


def test_only_seeds_that_both_have_are_paired():
    mean, interval, n = paired_interval({0: 5.0, 1: 7.0, 2: 90.0}, {0: 4.0, 1: 4.0, 7: 0.0})
    assert (mean, n) == (2.0, 2)
    assert interval.estimate == 2.0
    assert interval.high - 2 == pytest.approx(12.706 * statistics.stdev([1, 3]) / math.sqrt(2), abs=1e-3)


@pytest.mark.parametrize(("ours", "n"), [({0: 3.0}, 1), ({0: 3.0, 1: 4.0}, 2)])
def test_one_seed_or_equal_differences_have_no_interval(ours, n):
    control = {seed: value - 2 for seed, value in ours.items()}
    assert paired_interval(ours, control) == (2.0, None, n)


def test_without_a_common_seed_there_is_no_gain():
    assert paired_interval({0: 1.0}, {1: 1.0}) is None


def test_ranks_peel_one_front_after_the_other():
    assert pareto_ranks([(1, 1), (2, 2), (1, 2), (0, 5), (3, 3)]) == [1, 3, 2, 1, 4]


def test_equal_points_share_a_rank():
    assert pareto_ranks([(1, 1), (1, 1), (2, 1)]) == [1, 1, 2]
