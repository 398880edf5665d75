import json

import pytest

from edgekd.gate.budget import Budget
from edgekd.gate.ci import badge
from edgekd.gate.ci._findings import plain
from edgekd.gate.judge import Judged, judge
from edgekd.values import Accuracy


def of(limits, measurement, baseline=None):
    return read(judge(Budget.model_validate({"name": "camera", **limits}), measurement, baseline), measurement)


def read(verdict, measurement):
    return json.loads(badge.text([Judged(verdict, measurement)], tolerate=False))


def test_it_is_what_shields_reads(measurement):
    found = of({"latency": {"percentile": 95, "limit_ms": 2}}, measurement())
    assert found == {"schemaVersion": 1, "label": "edgekd camera", "message": "pass · p95 1 ms", "color": "brightgreen"}


@pytest.mark.parametrize(
    ("limits", "message", "colour"),
    [
        ({"latency": {"percentile": 95, "limit_ms": 0.5}}, "fail · p95 1 > 0.5 ms", "red"),
        ({"latency": {"percentile": 99.9, "limit_ms": 2}}, "inconclusive · p99.9 1 for a limit of 2 ms", "yellow"),
        ({"load": {"limit_ms": 15}}, "fail · load 20 > 15 ms", "red"),
        ({"first_inference": {"limit_ms": 2}}, "fail · first inference 3 > 2 ms", "red"),
        ({"size": {"disk_bytes": 999_999}}, "fail · size 1,000,000 > 999,999 bytes", "red"),
        ({"size": {"disk_bytes": 10**7}}, "pass · 1 ms", "brightgreen"),
        ({"accuracy": {"min_top1": 0.9}}, "fail · accuracy 0.89 < 0.9", "red"),
        ({"accuracy": {"min_top1": 0.9}, "latency": {"limit_ms": 0.5}}, "fail · p50 1 > 0.5 ms", "red"),
    ],
)
def test_it_tells_the_figure_that_decided(measurement, limits, message, colour):
    found = of(limits, measurement(accuracy=Accuracy(correct=89, images=100, dataset="digits", split="test")))
    assert (found["message"], found["color"]) == (message, colour)


def test_a_relative_budget_is_reported_as_a_ratio(measurement):
    found = of({"latency": {"max_ratio": 0.6}}, measurement(), measurement([[[2.0] * 20] * 4] * 5))
    assert found["message"] == "pass · 0.5 × baseline"
    found = of({"latency": {"max_ratio": 0.4}}, measurement(), measurement([[[2.0] * 20] * 4] * 5))
    assert found["message"] == "fail · latency 0.5 > 0.4"


@pytest.mark.parametrize("changes", [{"invalid": ("it throttled",)}, {"on_target": False}])
def test_times_that_say_nothing_are_not_told(measurement, verdict, changes):
    limits = {"latency": {"limit_ms": 2}, "size": {"disk_bytes": 10**7}}
    found = of(limits, measurement(**changes))
    assert found["message"] == ("invalid" if "invalid" in changes else "not measured")
    assert read(verdict("pass"), measurement(**changes))["message"] == "pass"


def test_hostile_names_stay_text(measurement, verdict, limit, hostile):
    judged = verdict("fail", limit("fail", name=hostile, evidence=hostile), budget=hostile, artifact=hostile)
    text = badge.text([Judged(judged, measurement())], tolerate=False)
    assert text.isascii()
    assert "\n" not in text
    found = json.loads(text)
    assert found["label"] == plain(f"edgekd {hostile}")
    assert found["message"].startswith("fail")
