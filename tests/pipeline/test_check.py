import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.pipeline.check import check
from edgekd.profiling.document import write
from edgekd.progress import Silent
from edgekd.schema import Budget, Measuring

QUICK = Measuring(launches=2, seconds=0.05, block_seconds=0.01, warmup_seconds=0.02)


def budget(**limits):
    return Budget.model_validate({"name": "b", **limits})


def checked(subject, limits, **settings):
    return check(subject, limits, progress=Silent(), **settings)


@pytest.fixture
def stored(tmp_path, measurement):
    def store(name, *given, **changes):
        write(tmp_path / name, measurement(*given, **changes))
        return tmp_path / name

    return store


def test_a_stored_measurement_is_judged(stored):
    assert checked(stored("m.json"), budget(latency={"limit_ms": 2})).status == "pass"
    assert checked(stored("m.json"), budget(latency={"limit_ms": 0.5})).status == "fail"


def test_a_stored_measurement_is_judged_against_its_baseline(stored):
    base = stored("base.json", [[[2.0] * 20] * 4] * 5)
    assert checked(stored("m.json"), budget(latency={"max_ratio": 0.6}), baseline=base).status == "pass"
    assert checked(stored("m.json"), budget(latency={"max_ratio": 0.4}), baseline=base).status == "fail"


def test_a_model_is_measured_beside_its_baseline_and_judged(model):
    small, large = model("small"), model("large", layers=12, channels=32)
    here = {"target": catalog.target("x86-cpu"), "settings": QUICK}
    assert checked(small, budget(latency={"max_ratio": 0.7}), baseline=large, **here).status == "pass"
    assert checked(large, budget(latency={"max_ratio": 0.7}), baseline=small, **here).status == "fail"


def test_elsewhere_only_what_needs_no_device_is_judged(model):
    notes = []

    class Listening(Silent):
        def note(self, text):
            notes.append(text)

    jetson = catalog.target("jetson")
    limits = budget(latency={"limit_ms": 9}, size={"disk_bytes": 10**6})
    verdict = check(model(), limits, target=jetson, progress=Listening())
    assert [limit.status for limit in verdict.limits] == ["not measured", "pass"]
    assert "is no NVIDIA Jetson" in notes[0]
    assert checked(model(), budget(latency={"limit_ms": 9}, size={"disk_bytes": 1}), target=jetson).status == "fail"


@pytest.mark.parametrize(
    ("subject", "baseline", "limits", "says"),
    [
        ("m.json", None, {}, "no limits"),
        ("m.onnx", None, {"latency": {"max_ratio": 0.5}}, "relative to a baseline"),
        ("m.onnx", None, {"latency": {"limit_ms": 5}}, "on a target"),
        ("m.json", "b.onnx", {"latency": {"max_ratio": 0.5}}, "measured now"),
        ("m.png", None, {"latency": {"limit_ms": 5}}, r"m\.png: neither"),
        ("m.json", "b.png", {"latency": {"limit_ms": 5}}, r"b\.png: neither"),
    ],
)
def test_what_cannot_be_checked_is_told_before_anything_is_measured(tmp_path, subject, baseline, limits, says):
    with pytest.raises(EdgekdError, match=says) as e:
        checked(tmp_path / subject, budget(**limits), baseline=tmp_path / baseline if baseline else None)
    assert e.value.exit_code == 2
    assert e.value.hint
