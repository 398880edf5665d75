"""Whether a candidate's latency fits."""

import pytest

from edgekd.gate.budget import Budget
from edgekd.pipeline.candidate_latency import Judging


@pytest.mark.parametrize(("ms", "at_last"), [(1.0, True), (1.95, False), (3.0, False)])
def test_a_high_percentile_that_few_samples_cannot_bound_counts_by_its_estimate_at_last(measurement, ms, at_last):
    """Of 100 samples p99 has no bound, and would leave every candidate open."""
    limits = Budget(name="b", latency={"percentile": 99, "limit_ms": 2.0})
    few, reference = (measurement([[[each] * 10] * 10]) for each in (ms, 2.0))
    found = [Judging(limits, 0.06, last).latency(few, reference, usable=True).fits for last in (False, True)]
    assert found == ([None, True] if at_last else [False, False])


def test_a_percentile_with_bounds_is_not_decided_by_its_estimate(measurement):
    limits = Budget(name="b", latency={"percentile": 50, "limit_ms": 2.0})
    wide = measurement([[[1.0, 3.0] * 10] * 5])
    found = Judging(limits, 0.0, by_estimate=True).latency(wide, measurement([[[2.0] * 20] * 5]), usable=True)
    assert found.fits is None
