import pytest

from edgekd.studies._base import Arm
from edgekd.studies._compare import compared, with_gains, with_tradeoffs
from edgekd.studies._results import Cell, Costs, TeacherResult
from edgekd.values import Accuracy, Interval


def accuracy(correct):
    return Accuracy(correct=correct, images=1000, dataset="made", split="test")


def cells(*correct):
    return [Cell(seed=seed, test=accuracy(n), val=accuracy(n), training_seconds=1.0) for seed, n in enumerate(correct)]


def costs(nonzero=500, transfer=5000, ratio=0.5):
    latency = Interval(estimate=ratio, low=ratio, high=ratio) if ratio else None
    counts = {"parameters": nonzero, "nonzero": nonzero, "macs": 1, "disk_bytes": 1}
    return Costs(**counts, transfer_bytes=transfer, median_ms=None, latency=latency)


def arm(name, control=None):
    return Arm(name=name, factors={"structure": name}, settings={"model": "net"}, control=control)


TEACHER = TeacherResult(model="net", test=accuracy(900), val=accuracy(900), epochs=1, costs=costs(1000, 10_000, 1.0))


def test_means_and_deviations_are_over_the_seeds():
    one = compared(arm("a"), cells(800, 820, 840), costs())
    assert one.accuracy == pytest.approx(0.82)
    assert one.deviation == pytest.approx(0.02)
    assert compared(arm("a"), cells(800), costs()).deviation is None


def test_an_arm_without_cells_has_no_accuracy():
    one = compared(arm("a"), [], None)
    assert one.accuracy is None
    assert with_tradeoffs([one], {})[0].tradeoff is None


def test_a_gain_is_paired_with_the_control_in_points():
    arms = [arm("control"), arm("ours", "control")]
    rows = [compared(arms[0], cells(800, 700, 900), costs()), compared(arms[1], cells(810, 720, 930), costs())]
    without, found = with_gains(rows, arms)
    assert without.gain is None
    assert found.gain.control == "control"
    assert found.gain.points == pytest.approx(2.0)
    # the accuracies vary by ten points, their differences by one
    assert found.gain.interval.high - found.gain.interval.low == pytest.approx(2 * 4.303 / 3**0.5, abs=0.01)


def test_a_gain_against_a_control_that_failed_is_none():
    arms = [arm("control"), arm("ours", "control")]
    rows = [compared(arms[0], [], None), compared(arms[1], cells(810), costs())]
    assert with_gains(rows, arms)[1].gain is None


def test_tradeoffs_are_ratios_to_the_teacher():
    found = with_tradeoffs([compared(arm("a"), cells(880), costs(250, 4000, 0.25))], {"net": TEACHER})[0].tradeoff
    assert found.drop_points == pytest.approx(2.0)
    assert (found.parameter_ratio, found.transfer_ratio, found.latency_ratio) == (0.25, 0.4, 0.25)
    assert found.score == pytest.approx(2 - 2)  # two halvings for two points
    assert found.pareto_rank == 1


def test_without_a_measurement_there_is_no_latency_and_no_score():
    rows = [
        compared(arm("a"), cells(880), costs(transfer=4000, ratio=None)),
        compared(arm("b"), cells(870), costs(transfer=5000, ratio=None)),
    ]
    first, second = with_tradeoffs(rows, {"net": TEACHER})
    assert first.tradeoff.latency_ratio is None
    assert first.tradeoff.score is None
    assert (first.tradeoff.pareto_rank, second.tradeoff.pareto_rank) == (1, 2)


def test_students_are_ranked_among_those_of_their_own_teacher():
    other = arm("b").model_copy(update={"settings": {"model": "other"}})
    rows = [compared(arm("a"), cells(880), costs()), compared(other, cells(500), costs(transfer=9000, ratio=0.9))]
    found = with_tradeoffs(rows, {"net": TEACHER, "other": TEACHER})
    assert [one.tradeoff.pareto_rank for one in found] == [1, 1]
