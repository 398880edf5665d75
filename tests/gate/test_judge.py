import math
import random

import pytest

from edgekd.errors import EdgekdError, ExitCode, MeasurementError
from edgekd.gate.judge import exit_code, judge
from edgekd.schema import Accuracy, Budget, Verdict


def budget(**limits):
    return Budget.model_validate({"name": "b", **limits})


def only(verdict):
    (limit,) = verdict.limits
    return limit


def steps(count, launches=5):
    """Samples 0.1, 0.2 … split among launches, so that the k-th smallest is k/10."""
    values = [round(0.1 * k, 1) for k in range(1, count + 1)]
    random.Random(0).shuffle(values)
    return [[values[i::launches]] for i in range(launches)]


@pytest.mark.parametrize(
    ("limit", "status", "says"),
    [
        # of 300 samples the p90 lies in ranks 261 to 279 with 95 % on either side
        (27.9, "pass", "p90 ≤ 27.9 ms at 95 %, n = 300, 5 launches, budget 27.9 → pass"),
        (27.8, "inconclusive", "p90 between 26.1 and 27.9 ms at 95 %"),
        (26.1, "inconclusive", "→ inconclusive"),
        (26.0, "fail", "p90 ≥ 26.1 ms at 95 %, n = 300, 5 launches, budget 26 → fail"),
    ],
)
def test_a_percentile_is_judged_by_its_bounds(measurement, limit, status, says):
    def below(k):
        return math.fsum(math.comb(300, i) * 0.9**i * 0.1 ** (300 - i) for i in range(k))

    assert below(279) >= 0.95 > below(278)
    assert 1 - below(261) >= 0.95 > 1 - below(262)
    verdict = judge(budget(latency={"percentile": 90, "limit_ms": limit}), measurement(steps(300)))
    assert only(verdict).status == verdict.status == status
    assert says in only(verdict).evidence
    assert only(verdict).observed == pytest.approx(27.01)


def test_too_few_samples_are_inconclusive_unless_they_are_all_over(measurement):
    few = measurement(steps(20))
    verdict = judge(budget(latency={"percentile": 99, "limit_ms": 100}), few)
    assert verdict.status == "inconclusive"
    assert "needs 299 samples, n = 20" in only(verdict).evidence
    assert judge(budget(latency={"percentile": 99, "limit_ms": 1.8}), few).status == "fail"


@pytest.mark.parametrize(("factor", "status"), [(0.40, "pass"), (0.5, "inconclusive"), (0.60, "fail")])
def test_a_ratio_is_judged_by_its_interval(measurement, factor, status):
    generator = random.Random(2)
    ours = [[[factor * generator.gauss(1, 0.02) for _ in range(5)] for _ in range(20)] for _ in range(5)]
    base = [[[generator.gauss(1, 0.02) for _ in range(5)] for _ in range(20)] for _ in range(5)]
    verdict = judge(budget(latency={"max_ratio": 0.5}), measurement(ours), measurement(base))
    assert verdict.status == status
    assert only(verdict).observed == pytest.approx(factor, rel=0.02)
    assert "100 pairs of blocks, 5 launches, budget 0.5" in only(verdict).evidence


def test_a_ratio_of_few_pairs_is_inconclusive(measurement):
    few = measurement([[[1.0]] * 4])
    verdict = judge(budget(latency={"max_ratio": 0.5}), few, few)
    assert verdict.status == "inconclusive"
    assert "needs 5 pairs of blocks, 4 pairs" in only(verdict).evidence


def test_measurements_that_do_not_compare_are_refused(measurement):
    with pytest.raises(MeasurementError, match="different sessions"):
        judge(budget(latency={"max_ratio": 0.5}), measurement(), measurement(session="two"))


@pytest.mark.parametrize("limits", [{"latency": {"max_ratio": 0.5}}, {"accuracy": {"max_drop_pp": 1}}])
def test_a_relative_limit_needs_a_baseline(measurement, limits):
    with pytest.raises(EdgekdError, match="none was given") as e:
        judge(budget(**limits), measurement())
    assert "--baseline" in e.value.hint
    assert e.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("key", "what", "sample"), [("load", "median load", "load_ms"), ("first_inference", "first", "first_ms")]
)
def test_one_off_times_are_judged_over_launches(measurement, key, what, sample):
    five = measurement(**{sample: 7.0})
    assert judge(budget(**{key: {"limit_ms": 7.0}}), five).status == "pass"
    assert judge(budget(**{key: {"limit_ms": 6.9}}), five).status == "fail"
    four = measurement(launches=[[[1.0]]] * 4, **{sample: 7.0})
    verdict = judge(budget(**{key: {"limit_ms": 8.0}}), four)
    assert verdict.status == "inconclusive"
    assert what in only(verdict).evidence
    assert "needs 5 samples" in only(verdict).evidence


def test_sizes_are_compared(measurement):
    m = measurement()
    assert judge(budget(size={"disk_bytes": 1_000_000}), m).status == "pass"
    verdict = judge(budget(size={"transfer_bytes": 899_999}), m)
    assert verdict.status == "fail"
    assert only(verdict).evidence == "gzipped file 900,000 bytes, budget 899,999 → fail"


def test_memory_is_the_median_peak_or_not_measured(measurement):
    limit = budget(memory={"peak_bytes": 5_000_000})
    assert judge(limit, measurement()).status == "pass"
    assert judge(limit, measurement(peak_bytes=5_000_001)).status == "fail"
    assert judge(limit, measurement(peak_bytes=None)).status == "not measured"


def test_accuracy_is_a_fact_about_its_test_set(measurement):
    seen = Accuracy(correct=90, images=100, dataset="digits", split="test")
    m = measurement(accuracy=seen)
    assert judge(budget(accuracy={"min_top1": 0.9}), m).status == "pass"
    assert judge(budget(accuracy={"min_top1": 0.91}), m).status == "fail"
    assert judge(budget(accuracy={"min_top1": 0.5}), measurement()).status == "not measured"


@pytest.mark.parametrize(
    ("correct", "split", "status"), [(91, "test", "pass"), (92, "test", "fail"), (91, "val", "not measured")]
)
def test_lost_accuracy_is_told_on_the_same_images_only(measurement, correct, split, status):
    m = measurement(accuracy=Accuracy(correct=90, images=100, dataset="digits", split="test"))
    base = measurement(accuracy=Accuracy(correct=correct, images=100, dataset="digits", split=split))
    limit = budget(accuracy={"max_drop_pp": 1.0})
    assert judge(limit, m, base).status == status
    assert judge(limit, m, measurement()).status == "not measured"


@pytest.mark.parametrize(("correct", "says"), [(91, "lost 1.00 points"), (88, "gained 2.00 points")])
def test_a_gain_is_not_called_a_negative_loss(measurement, correct, says):
    m = measurement(accuracy=Accuracy(correct=90, images=100, dataset="digits", split="test"))
    base = measurement(accuracy=Accuracy(correct=correct, images=100, dataset="digits", split="test"))
    assert says in judge(budget(accuracy={"max_drop_pp": 1.0}), m, base).limits[0].evidence


def test_an_invalid_measurement_has_no_latency_but_a_size(measurement):
    m = measurement(invalid=("the CPU throttled 3 times while it was measured",))
    verdict = judge(budget(latency={"limit_ms": 9}, size={"disk_bytes": 10**9}), m)
    assert verdict.status == "invalid"
    assert verdict.reasons == m.invalid
    assert {limit.name: limit.status for limit in verdict.limits} == {
        "latency.limit_ms": "invalid",
        "size.disk_bytes": "pass",
    }
    assert judge(budget(latency={"max_ratio": 0.5}), measurement(), m).status == "invalid"
    assert judge(budget(size={"disk_bytes": 10**9}), m).status == "invalid"


def test_another_machine_says_nothing_of_the_targets_time_and_memory(measurement):
    limits = budget(
        latency={"limit_ms": 9, "max_ratio": 2},
        load={"limit_ms": 99},
        first_inference={"limit_ms": 99},
        memory={"peak_bytes": 10**9},
        size={"disk_bytes": 10**9},
    )
    off = measurement(on_target=False, target="jetson-orin-nano")
    verdict = judge(limits, off, off)
    assert verdict.status == "not measured"
    assert [limit.status for limit in verdict.limits] == [*["not measured"] * 4, "pass", "not measured"]
    assert "local: (x86_64 linux) is no jetson-orin-nano" in verdict.limits[0].evidence
    nothing = off.model_copy(update={"launches": ()})
    assert "there was no jetson-orin-nano to measure on" in judge(limits, nothing, nothing).limits[0].evidence


@pytest.mark.parametrize(
    ("latency_limit", "size_limit", "status"),
    [(9, 10**9, "pass"), (0.5, 10**9, "fail"), (9, 1, "fail"), (0.5, 1, "fail")],
)
def test_every_limit_must_be_met(measurement, latency_limit, size_limit, status):
    limits = budget(latency={"limit_ms": latency_limit}, size={"disk_bytes": size_limit})
    assert judge(limits, measurement()).status == status


def test_a_broken_limit_outweighs_an_open_one(measurement):
    limits = budget(accuracy={"min_top1": 0.9}, size={"disk_bytes": 1})
    assert judge(limits, measurement()).status == "fail"


@pytest.mark.parametrize(
    ("status", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3), ("not measured", 3), ("invalid", 4)]
)
def test_each_verdict_has_its_exit_code(status, code):
    assert exit_code(Verdict(status=status, budget="b", artifact="a", limits=())) == code
