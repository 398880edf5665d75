import json
import random

import pytest

from edgekd.gate.budget import Budget
from edgekd.gate.ci import bencher as bencher_format
from edgekd.gate.ci import benchmark_action as benchmark_action_format
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged, judge
from edgekd.measuring.statistics import lower_bound, percentile, upper_bound
from edgekd.values import Artifact


def bencher(verdict, measurement):
    return bencher_format.text([Judged(verdict, measurement)], tolerate=False)


def benchmark_action(verdict, measurement):
    return benchmark_action_format.text([Judged(verdict, measurement)], tolerate=False)


TIMES = {"latency", "load-time", "first-inference", "latency-ratio"}


def judged(measurement, baseline=None):
    limits = {"latency": {"max_ratio": 0.9}} if baseline else {"size": {"disk_bytes": 10**9}}
    return judge(Budget.model_validate({"name": "camera", **limits}), measurement, baseline)


def measures(measurement, baseline=None):
    (found,) = json.loads(bencher(judged(measurement, baseline), measurement)).values()
    return found


def entries(measurement, baseline=None):
    found = json.loads(benchmark_action(judged(measurement, baseline), measurement))
    return {entry["name"]: entry for entry in found}


@pytest.fixture
def spread(measurement):
    """A measurement of so many different samples, over five launches."""

    def make(count, **changes):
        values = [1 + k / count for k in range(count)]
        random.Random(0).shuffle(values)
        return measurement([[values[i::5]] for i in range(5)], **changes), values

    return make


def test_bencher_gets_nanoseconds_and_bytes(spread):
    m, samples = spread(1000)
    found = measures(m)
    for p, name in ((50, "latency"), (90, "latency-p90"), (95, "latency-p95"), (99, "latency-p99")):
        assert found[name]["value"] == pytest.approx(1e6 * percentile(samples, p))
        assert found[name]["lower_value"] == pytest.approx(1e6 * lower_bound(samples, p))
        assert found[name]["upper_value"] == pytest.approx(1e6 * upper_bound(samples, p))
    assert found["load-time"]["value"] == 20e6
    assert found["first-inference"]["value"] == 3e6
    assert found["file-size"] == {"value": 1_000_000}
    assert found["transfer-size"] == {"value": 900_000}
    assert found["peak-memory"] == {"value": 5_000_000}


def test_bencher_metric_format_has_three_levels(spread):
    document = json.loads(bencher(judged(spread(500)[0]), spread(500)[0]))
    assert list(document) == ["net"]
    for measure, metric in document["net"].items():
        assert measure == measure.lower().replace(" ", "-")
        assert {"value"} <= set(metric) <= {"value", "lower_value", "upper_value"}
        assert all(isinstance(number, int | float) for number in metric.values())


@pytest.mark.parametrize(("count", "names"), [(20, {"latency"}), (100, {"latency", "latency-p90", "latency-p95"})])
def test_a_percentile_that_the_sample_does_not_bound_is_left_out(spread, count, names):
    found = measures(spread(count)[0])
    assert {name for name in found if name.startswith("latency")} == names


def test_benchmark_action_gets_milliseconds_with_their_range(spread):
    m, samples = spread(1000)
    found = entries(m)
    p99 = found["net: p99"]
    assert (p99["unit"], p99["value"]) == ("ms", pytest.approx(percentile(samples, 99)))
    assert p99["range"] == f"{lower_bound(samples, 99):.4g} to {upper_bound(samples, 99):.4g} at 95 %"
    assert "budget camera: pass; measured on local: some, 2 cores" in p99["extra"]
    assert found["net: size on disk"] == {
        "name": "net: size on disk",
        "unit": "bytes",
        "value": 1_000_000,
        "extra": p99["extra"],
    }
    assert found["net: load"]["value"] == 20.0


def test_the_ratio_is_reported_where_there_is_one(measurement):
    base = measurement([[[2.0] * 20] * 4] * 5)
    assert measures(measurement(), base)["latency-ratio"]["value"] == 0.5
    assert entries(measurement(), base)["net: latency ÷ baseline's"]["value"] == 0.5
    assert "latency-ratio" not in measures(measurement())


@pytest.mark.parametrize("changes", [{"invalid": ("it throttled",)}, {"on_target": False}, {"launches": ()}])
def test_times_that_say_nothing_are_left_out(measurement, changes):
    found = measures(measurement(**changes))
    assert set(found) == {"file-size", "transfer-size"}
    assert len(entries(measurement(**changes))) == 2


def test_nothing_but_sizes_is_reported_of_a_session_that_cannot_be_trusted(measurement, verdict):
    document = json.loads(bencher(verdict("invalid", reasons=("the control is off",)), measurement()))
    assert not TIMES & set(document["net"])


def test_energy_and_engine_are_reported_where_they_were_measured(measurement):
    m = measurement(engine_bytes=7_000_000)
    m = m.model_copy(update={"launches": tuple(x.model_copy(update={"energy_mj": 12.5}) for x in m.launches)})
    assert measures(m)["engine-size"] == {"value": 7_000_000}
    assert measures(m)["energy"] == {"value": 12.5}
    assert entries(m)["net: energy"]["unit"] == "mJ"


def test_hostile_names_stay_text(measurement, verdict, hostile):
    fields = measurement().artifact.model_dump() | {"name": hostile}
    host = measurement().host.model_copy(update={"cpu": hostile})
    m = measurement(artifact=Artifact(**fields), host=host)
    judged = verdict("pass", budget=hostile, artifact=hostile)
    assert list(json.loads(bencher(judged, m))) == [plain(m.artifact.name)]
    for entry in json.loads(benchmark_action(judged, m)):
        assert not set("`|\n") & set(entry["name"])
        assert "\n" not in entry["extra"]


def test_benchers_longest_name_is_kept_to(measurement, verdict):
    fields = measurement().artifact.model_dump() | {"name": "x" * 2000}
    (name,) = json.loads(bencher(verdict("pass"), measurement(artifact=Artifact(**fields))))
    assert len(name) == 1024
