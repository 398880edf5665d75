import math
import random

import pytest

from edgekd.errors import EdgekdError, ExitCode, MeasurementError
from edgekd.gate.budget import Budget, require_limits
from edgekd.gate.judge import exit_code, judge, latency_status
from edgekd.values import Accuracy, Node, Trace, Verdict


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
    beside = judge(budget(latency={"percentile": 90, "limit_ms": limit}), measurement(steps(300)), measurement())
    assert only(beside) == only(verdict)


def test_too_few_samples_are_inconclusive_unless_they_are_all_over(measurement):
    few = measurement(steps(20))
    verdict = judge(budget(latency={"percentile": 99, "limit_ms": 100}), few)
    assert verdict.status == "inconclusive"
    assert "needs 299 samples, n = 20" in only(verdict).evidence
    assert judge(budget(latency={"percentile": 99, "limit_ms": 1.8}), few).status == "fail"
    low = judge(budget(latency={"percentile": 1, "limit_ms": 0.1}), few)
    assert "needs 299 samples, n = 20" in only(low).evidence


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
    assert "needs 5 pairs of blocks, 4 pairs of blocks, 1 launch, budget" in only(verdict).evidence
    enough = measurement([[[1.0]] * 5])
    assert judge(budget(latency={"max_ratio": 1.5}), enough, enough).status == "pass"


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


@pytest.mark.parametrize(
    ("table", "key"), [("load", "load_ms"), ("first_inference", "first_ms"), ("energy", "energy_mj")]
)
@pytest.mark.parametrize(("count", "bounds"), [(10, (2, 9)), (13, (4, 10))])
def test_what_each_launch_has_one_of_is_judged_by_its_median(measurement, table, key, count, bounds):
    """Of so many, the median lies in these ranks with 95 % on either side, and no percentile beside it does."""
    plain = measurement()
    launches = tuple(plain.launches[0].model_copy(update={key: float(1 + i)}) for i in range(count))
    limit = {"limit_mj" if table == "energy" else "limit_ms": 99}
    found = only(judge(budget(**{table: limit}), plain.model_copy(update={"launches": launches})))
    assert ((found.low, found.high), found.observed) == (bounds, (count + 1) / 2)


def test_where_nothing_was_launched_there_is_nothing_to_judge(measurement):
    verdict = judge(budget(load={"limit_ms": 8.0}), measurement(launches=()))
    assert verdict.status == "not measured"
    assert only(verdict).evidence == "median load: n = 0, 0 launches, budget 8 → not measured"


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
    assert judge(budget(accuracy={"min_top1": 0.8}), m).status == "pass"
    assert judge(budget(accuracy={"min_top1": 0.91}), m).status == "fail"
    assert judge(budget(accuracy={"min_top1": 0.5}), measurement()).status == "not measured"
    assert only(judge(budget(accuracy={"min_top1": 0.9}), m, m)).name == "accuracy.min_top1"


SEEN = Accuracy(correct=90, images=100, dataset="digits", split="test")


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"correct": 91}, "pass"),
        ({"correct": 92}, "fail"),
        ({"split": "val"}, "not measured"),
        ({"dataset": "cifar10"}, "not measured"),
        ({"images": 99}, "not measured"),
        ({"images": 101}, "not measured"),
    ],
)
def test_lost_accuracy_is_reported_on_the_same_images_only(measurement, other, status):
    m, base = measurement(accuracy=SEEN), measurement(accuracy=SEEN.model_copy(update=other))
    assert judge(budget(accuracy={"max_drop_pp": 1.0}), m, base).status == status


def test_what_has_no_accuracy_is_named(measurement):
    m, none, limit = measurement(accuracy=SEEN), measurement(), budget(accuracy={"max_drop_pp": 1.0})
    assert "top-1 accuracy lost: the baseline has no accuracy" in only(judge(limit, m, none)).evidence
    assert "top-1 accuracy lost: this measurement has no accuracy" in only(judge(limit, none, m)).evidence
    assert judge(limit, m, none).status == judge(limit, none, m).status == "not measured"


@pytest.mark.parametrize(
    ("correct", "says"),
    [
        (91, "lost 1.00 points (91.00 % to 90.00 %) on 100 images of digits test"),
        (90, "lost 0.00 points (90.00 % to 90.00 %)"),
        (89, "gained 1.00 points (89.00 % to 90.00 %)"),
    ],
)
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


def test_another_machine_is_irrelevant_to_the_targets_time_and_memory(measurement):
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
    assert [limit.status for limit in verdict.limits] == ["not measured"] * 5 + ["pass"]
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


def test_bounds_have_the_confidence_that_is_requested(measurement):
    def below(k):
        return math.fsum(math.comb(300, i) * 0.9**i * 0.1 ** (300 - i) for i in range(k))

    m, limits = measurement(steps(300)), budget(latency={"percentile": 90, "limit_ms": 27.9}, load={"limit_ms": 30})
    usual, surer = judge(limits, m), judge(limits, m, confidence=0.975)
    assert (usual.confidence, surer.confidence) == (0.95, 0.975)
    assert (usual.limits[0].low, usual.limits[0].high) == (26.1, 27.9)
    # the least rank below which the p90 lies with 97.5 %, and the greatest above which it does
    high = next(k for k in range(300) if below(k) >= 0.975)
    low = next(k for k in range(300, 0, -1) if 1 - below(k) >= 0.975)
    assert (surer.limits[0].low, surer.limits[0].high) == pytest.approx((low / 10, high / 10))
    assert (usual.limits[0].status, surer.limits[0].status) == ("pass", "inconclusive")
    assert "at 97.5 %, n = 300" in surer.limits[0].evidence
    assert "median load 20 ms needs 6 samples" in surer.limits[1].evidence


def test_a_ratio_is_as_sure_as_requested(measurement):
    generator = random.Random(2)
    ours, base = (
        measurement([[[generator.gauss(1, 0.05) for _ in range(5)] for _ in range(20)] for _ in range(5)])
        for _ in range(2)
    )
    limits = budget(latency={"max_ratio": 2})
    usual, surer = (only(judge(limits, ours, base, confidence=c)) for c in (0.95, 0.99))
    assert surer.low < usual.low < usual.observed < usual.high < surer.high
    assert "at 99 %" in surer.evidence


def traced(*providers):
    nodes = tuple(Node(name=f"n{i}", op=op, provider=p, ms=0.1) for i, (op, p) in enumerate(providers))
    return Trace(inferences=10, nodes=nodes)


def test_nodes_that_fell_back_are_counted_and_named(measurement):
    first = "CPUExecutionProvider"
    m = measurement(trace=traced(("Conv", first), ("Cast", "Other"), ("Cast", "Other"), ("Resize", "Third")))
    verdict = judge(budget(fallback={"max_nodes": 2}), m)
    assert verdict.status == "fail"
    assert only(verdict).observed == 3
    says = "3 of 4 nodes not on CPUExecutionProvider (Cast × 2, Resize × 1), budget 2 → fail"
    assert only(verdict).evidence == says
    assert judge(budget(fallback={"max_nodes": 3}), m).status == "pass"
    whole = judge(budget(fallback={"max_nodes": 0}), measurement(trace=traced(("Conv", first))))
    assert only(whole).evidence == "0 of 1 nodes not on CPUExecutionProvider, budget 0 → pass"


def test_only_the_operators_that_fell_back_most_are_named(measurement):
    three = judge(budget(fallback={"max_nodes": 0}), measurement(trace=traced(*[(op, "Other") for op in "ABC"])))
    assert "(A × 1, B × 1, C × 1), budget" in only(three).evidence
    trace = traced(*[(op, "Other") for op in "AABBCCDE"])
    assert (
        "(A × 2, B × 2, C × 2, …)" in only(judge(budget(fallback={"max_nodes": 0}), measurement(trace=trace))).evidence
    )


def energies(measurement, *millijoules):
    m = measurement([[[1.0]]] * len(millijoules))
    launches = tuple(
        launch.model_copy(update={"energy_mj": mj}) for launch, mj in zip(m.launches, millijoules, strict=True)
    )
    return m.model_copy(update={"launches": launches})


@pytest.mark.parametrize(
    ("limit", "status", "says"),
    [
        (9.0, "pass", "median energy ≤ 9 mJ at 95 %, n = 5, 5 launches, budget 9 → pass"),
        (8.9, "inconclusive", "median energy between 5 and 9 mJ at 95 %"),
        (4.9, "fail", "median energy ≥ 5 mJ at 95 %"),
    ],
)
def test_energy_is_judged_over_launches(measurement, limit, status, says):
    verdict = judge(budget(energy={"limit_mj": limit}), energies(measurement, 5.0, 6.0, 7.0, 8.0, 9.0))
    assert verdict.status == status
    assert says in only(verdict).evidence
    few = judge(budget(energy={"limit_mj": 99}), energies(measurement, 5.0, 6.0, 7.0, 8.0, None))
    assert "needs 5 samples, n = 4" in only(few).evidence


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"energy": {"limit_mj": 1}}, "median energy: not reported by the device"),
        ({"memory": {"peak_bytes": 1}}, "median peak memory: not reported by the device"),
        ({"fallback": {"max_nodes": 0}}, "fallback: the nodes weren't traced"),
        ({"size": {"engine_bytes": 1}}, "engine: onnxruntime builds none: it runs the file"),
    ],
)
def test_what_the_device_does_not_tell_is_not_measured(measurement, limits, says):
    verdict = judge(budget(**limits), measurement(peak_bytes=None))
    assert verdict.status == only(verdict).status == "not measured"
    assert only(verdict).observed is None
    assert says in only(verdict).evidence


@pytest.mark.parametrize(("found", "status"), [(999, "pass"), (1000, "pass"), (1001, "fail")])
def test_the_engine_that_the_device_built_has_a_size(measurement, found, status):
    verdict = judge(budget(size={"engine_bytes": 1000}), measurement(engine_bytes=found))
    assert verdict.status == status
    assert only(verdict).evidence == f"engine {found:,} bytes, budget 1,000 → {status}"


@pytest.mark.parametrize(
    "limits", [{"energy": {"limit_mj": 99}}, {"fallback": {"max_nodes": 9}}, {"size": {"engine_bytes": 9}}]
)
def test_another_machines_engine_fallback_and_energy_are_not_the_targets(measurement, limits):
    off = energies(measurement, *[5.0] * 5).model_copy(
        update={"on_target": False, "target": "jetson", "engine_bytes": 1, "trace": traced()}
    )
    verdict = judge(budget(**limits), off)
    assert verdict.status == "not measured"
    assert "local: (x86_64 linux) is no jetson" in only(verdict).evidence


def test_every_limit_of_a_budget_is_judged(measurement):
    limits = {
        "latency": {"limit_ms": 9, "max_ratio": 2},
        "load": {"limit_ms": 99},
        "first_inference": {"limit_ms": 99},
        "size": {"disk_bytes": 10**9, "transfer_bytes": 10**9, "engine_bytes": 10**9},
        "memory": {"peak_bytes": 10**9},
        "fallback": {"max_nodes": 0},
        "energy": {"limit_mj": 9},
        "accuracy": {"min_top1": 0.5, "max_drop_pp": 1},
    }
    asked = {f"{table}.{key}" for table, keys in limits.items() for key in keys}
    tables = {n: budget_table(n) for n in Budget.model_fields if n not in ("name", "title", "conditions", "references")}
    known = {f"{table}.{key}" for table, kind in tables.items() for key in kind.model_fields}
    assert asked == known - {"latency.percentile", "latency.cadence_hz", "energy.cadence_hz"}
    verdict = judge(budget(**limits), measurement(), measurement())
    assert {limit.name for limit in verdict.limits} == asked


def budget_table(name):
    return next(kind for kind in Budget.model_fields[name].annotation.__args__ if hasattr(kind, "model_fields"))


def test_the_latency_alone_is_held_to_the_conditions_too(measurement):
    limits = budget(latency={"limit_ms": 2}, size={"disk_bytes": 1}, conditions={"threads": 1})
    assert latency_status(limits, measurement()) == "pass"
    with pytest.raises(MeasurementError, match="threads"):
        latency_status(budget(latency={"limit_ms": 2}, conditions={"threads": 2}), measurement())


@pytest.mark.parametrize(
    "empty",
    [
        {},
        {"size": {}},
        {"accuracy": {}},
        {"conditions": {"threads": 1}, "references": [dict.fromkeys(("what", "value", "source"), "x")]},
    ],
)
def test_a_budget_without_limits_is_refused(empty):
    with pytest.raises(EdgekdError, match="has no limits"):
        require_limits(budget(**empty))
    require_limits(budget(**empty | {"fallback": {"max_nodes": 0}}))


def test_a_drift_spoils_milliseconds_but_not_a_ratio(measurement):
    plain = measurement()
    canary = {"canary_ms": (1.0,) * 5 + (1.5,) * 5}
    drifted = plain.model_copy(update={"launches": tuple(one.model_copy(update=canary) for one in plain.launches)})
    limits = budget(latency={"limit_ms": 5, "max_ratio": 1.1}, load={"limit_ms": 50}, size={"disk_bytes": 10**7})
    verdict = judge(limits, drifted, drifted)
    found = {limit.name: limit.status for limit in verdict.limits}
    assert found == {
        "latency.limit_ms": "invalid",
        "latency.max_ratio": "pass",
        "load.limit_ms": "invalid",
        "size.disk_bytes": "pass",
    }
    assert verdict.status == "invalid"
