import pytest

from edgekd.errors import EdgekdError
from edgekd.pipeline.plan import least_pruned, search
from edgekd.values import Interval
from edgekd.values.result import Candidate, RungLatency

FP32 = {"fp32"}
LEVELS = tuple(round(0.05 * i, 2) for i in range(19))


def device(curve, limit, asked):
    """Measures a made-up network whose latency ratio at a pruning ratio is `curve(ratio)`."""

    def measure(ratio):
        asked.append(ratio)
        value = curve(ratio)
        rung = RungLatency(
            precision="fp32",
            median_ms=value,
            ratio=Interval(estimate=value, low=value, high=value),
            fits=value <= limit,
        )
        return Candidate(ratio=ratio, parameters=int(1000 * (1 - ratio)), macs=1, rungs=(rung,))

    return measure


@pytest.mark.parametrize("limit", [0.9, 0.52, 0.3, 0.12])
def test_the_least_pruned_that_fits_is_found_in_a_handful_of_measurements(limit):
    asked = []
    plan = search(LEVELS, device(lambda r: 1 - r, limit, asked), FP32)
    assert plan.feasible
    assert plan.ratio == min(r for r in LEVELS if 1 - r <= limit)
    assert len(asked) == len(set(asked)) <= 7


def test_nothing_is_pruned_where_the_unpruned_network_fits():
    asked = []
    plan = search(LEVELS, device(lambda r: 0.4, 0.5, asked), FP32)
    assert (plan.ratio, plan.feasible, asked) == (0.0, True, [0.0])


def test_a_fit_in_between_is_found_where_the_most_pruned_is_slower():
    # a staircase that turns up again: 0.45 at 60 %, 0.6 at 90 %
    plan = search(LEVELS, device(lambda r: 1 - r if r <= 0.6 else 0.6, 0.5, []), FP32)
    assert plan.feasible
    assert plan.ratio == 0.5


def test_where_nothing_fits_the_fastest_is_kept_and_named_the_larger_of_equals():
    plan = search(LEVELS, device(lambda r: max(0.53, 1 - r) + (0.005 if r == 0.6 else 0), 0.47, []), FP32)
    assert plan.feasible is False
    assert plan.ratio == 0.6  # 0.535 there and 0.53 at 90 %: the same on a shared machine
    assert "0.54" in plan.why


def test_a_network_that_cannot_be_narrowed_is_planned_as_it_is():
    plan = search((0.0,), device(lambda r: 1.0, 0.5, []), FP32)
    assert (plan.ratio, plan.feasible) == (0.0, False)


def test_one_step_further_is_the_next_level():
    plan = search(LEVELS, device(lambda r: 1 - r, 0.52, []), FP32)
    assert plan.further() == pytest.approx(plan.ratio + 0.05)
    assert plan.model_copy(update={"ratio": 0.9}).further() is None


@pytest.mark.parametrize("most", [1.0, 0.72, 0.5, 0.1])
def test_what_may_be_left_decides_without_measuring(most):
    asked = []

    def fits(ratio):
        asked.append(ratio)
        return 1 - ratio <= most

    plan = least_pruned(LEVELS, fits, f"{most:.0%} of it")
    assert plan.ratio == min(ratio for ratio in LEVELS if 1 - ratio <= most)
    assert len(asked) <= 7
    assert plan.feasible is None


def test_more_than_can_go_is_an_error():
    with pytest.raises(EdgekdError, match="pruned by 90%, the most there is, it still has more than 5% of it"):
        least_pruned(LEVELS, lambda ratio: 1 - ratio <= 0.05, "5% of it")


def both(ratio, *, fp32, int8, limit=0.5):
    """A candidate of these latencies."""
    rungs = tuple(
        RungLatency(
            precision=precision,
            median_ms=value,
            ratio=Interval(estimate=value, low=value, high=value),
            fits=value <= limit,
        )
        for precision, value in (("fp32", fp32), ("int8", int8))
    )
    return Candidate(ratio=ratio, parameters=int(1000 * (1 - ratio)), macs=1, rungs=rungs)


def test_the_plan_says_in_which_precisions_it_fits():
    plan = search(LEVELS, lambda r: both(r, fp32=1 - r, int8=0.4 * (1 - r)), {"fp32", "int8"})
    assert (plan.ratio, plan.precisions) == (0.0, ("int8",))
    assert plan.why == "the unpruned network meets the budget in int8"


def test_a_precision_that_does_not_count_is_not_planned_with():
    plan = search(LEVELS, lambda r: both(r, fp32=1 - r, int8=0.4 * (1 - r)), FP32)
    assert (plan.ratio, plan.precisions, plan.feasible) == (0.5, ("fp32",), True)


def test_planned_again_it_begins_with_what_was_measured():
    asked = []

    def measure(ratio):
        asked.append(ratio)
        return both(ratio, fp32=1 - ratio, int8=0.7 * (1 - ratio))

    first = search(LEVELS, measure, {"fp32", "int8"})
    assert (first.ratio, first.precisions) == (0.3, ("int8",))
    measured = len(asked)
    again = search(LEVELS, measure, FP32, seen=first.candidates)
    assert (again.ratio, again.precisions) == (0.5, ("fp32",))
    assert len(asked) - measured <= 4
    assert len(asked) == len(set(asked))


def test_planned_again_where_nothing_is_left_that_fits_it_says_so():
    first = search(LEVELS, lambda r: both(r, fp32=0.9, int8=0.7 * (1 - r)), {"fp32", "int8"})
    again = search(LEVELS, lambda r: both(r, fp32=0.9, int8=0.7 * (1 - r)), FP32, seen=first.candidates)
    assert again.feasible is False
    assert again.precisions == ()
    assert "no candidate meets the budget" in again.why
    assert search((0.0,), lambda r: both(r, fp32=0.9, int8=0.4), set()).feasible is False
