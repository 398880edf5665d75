import pytest

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.gate.budget import Budget
from edgekd.measuring.document import write
from edgekd.pipeline.check import OnDevice, check, defaults
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

pytestmark = pytest.mark.alone

QUICK = MeasuringProtocol(launches=2, seconds=0.05, block_seconds=0.01, warmup_seconds=0.02)


def budget(**limits):
    return Budget.model_validate({"name": "b", **limits})


def undisturbed(subject, limits, **settings):
    """What `check` gives, of up to three measurements: others may disturb one, which makes it invalid."""
    for _ in range(3):
        found = check(subject, limits, progress=Silent(), **settings)
        if found.verdict.status != "invalid":
            break
    return found


def checked(subject, limits, **settings):
    return undisturbed(subject, limits, **settings).verdict


def here(**changes):
    return OnDevice(**{"target": catalog.target("x86-cpu"), "protocol": QUICK} | changes)


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


def test_a_stored_measurement_of_another_target_is_refused(stored):
    with pytest.raises(EdgekdError, match=r"m.json was measured for x86-cpu, not for jetson") as e:
        checked(stored("m.json"), budget(latency={"limit_ms": 2}), on_device=here(target=catalog.target("jetson")))
    assert "--target" in e.value.hint
    assert checked(stored("m.json"), budget(latency={"limit_ms": 2}), on_device=here()).status == "pass"


def test_a_model_is_measured_beside_its_baseline_and_judged(model):
    small, large = model("small"), model("large", layers=12, channels=32)
    longer = here(protocol=QUICK.model_copy(update={"launches": 4, "seconds": 0.4}))  # the control within 2 %
    faster = checked(small, budget(latency={"max_ratio": 0.7}), baseline=large, on_device=longer)
    assert faster.status == "pass", faster
    assert faster.control.estimate == pytest.approx(1, abs=0.02)
    assert faster.confidence == 1 - 0.05 / 2**faster.looks
    slower = checked(large, budget(latency={"max_ratio": 0.7}), baseline=small, on_device=here())
    assert slower.status == "fail", slower


def test_a_model_and_its_baseline_may_run_in_different_variants(model):
    how = here(variant="onnxruntime:spinning=false", baseline_variant="onnxruntime-fp32")
    found = undisturbed(model(), budget(size={"disk_bytes": 10**9}), baseline=model(), on_device=how)
    names = found.measurement.artifact.name, found.baseline.artifact.name
    assert names == ("model-onnxruntime-fp32-no-spinning", "model-onnxruntime-fp32")
    assert found.measurement.artifact.variant.settings == {"spinning": False}
    assert found.verdict.status == "pass", found.verdict


def test_a_model_is_known_by_its_content_as_profile_knows_it(model, tmp_path):
    path = model().rename(tmp_path / "net.pb")
    found = checked(path, budget(latency={"limit_ms": 1e4}), on_device=here())
    assert found.status == "pass", found
    path.write_text("no model")
    with pytest.raises(EdgekdError, match=r"net.pb: isn't an ONNX model"):
        checked(path, budget(latency={"limit_ms": 1e4}), on_device=here())


def test_a_stated_batch_size_is_not_replaced_by_that_of_the_model(model):
    protocol = QUICK.model_copy(update={"batch": 4})
    with pytest.raises(EdgekdError, match=r"--batch 4: .* is for batch size 1"):
        checked(model(batch=1), budget(latency={"limit_ms": 1}), on_device=here(protocol=protocol))


def test_elsewhere_only_what_needs_no_device_is_judged(model):
    notes = []

    class Listening(Silent):
        def note(self, text):
            notes.append(text)

    jetson = catalog.target("jetson")
    limits = budget(latency={"limit_ms": 9}, size={"disk_bytes": 10**6})
    verdict = check(model(), limits, on_device=OnDevice(jetson), progress=Listening()).verdict
    assert [limit.status for limit in verdict.limits] == ["not measured", "pass"]
    assert "is not a device of target jetson" in notes[0]
    limits = budget(latency={"limit_ms": 9}, size={"disk_bytes": 1})
    assert checked(model(), limits, on_device=OnDevice(jetson)).status == "fail"


@pytest.mark.parametrize(
    ("subject", "baseline", "limits", "says"),
    [
        ("m.json", None, {}, "no limits"),
        ("m.onnx", None, {"latency": {"max_ratio": 0.5}}, "relative to a baseline"),
        ("m.onnx", None, {"latency": {"limit_ms": 5}}, "on a target"),
        ("m.json", "b.onnx", {"latency": {"max_ratio": 0.5}}, "measured now"),
        ("m.png", None, {"latency": {"limit_ms": 5}}, "on a target"),
    ],
)
def test_what_cannot_be_checked_is_reported_before_anything_is_measured(tmp_path, subject, baseline, limits, says):
    with pytest.raises(EdgekdError, match=says) as e:
        checked(tmp_path / subject, budget(**limits), baseline=tmp_path / baseline if baseline else None)
    assert e.value.exit_code == 2
    assert e.value.hint


def test_the_size_of_an_engine_is_refused_where_the_runtime_builds_none(model):
    with pytest.raises(EdgekdError, match=r"engine_bytes limits .* its runtimes \(onnxruntime\) build nothing") as e:
        checked(model(), budget(size={"engine_bytes": 10**6}), on_device=here())
    assert e.value.exit_code == 2
    assert "size.disk_bytes" in e.value.hint


@pytest.mark.parametrize("limits", [{"latency": {"limit_ms": 9}}, {"load": {"limit_ms": 9}}])
def test_milliseconds_beside_a_baseline_are_refused_unless_the_device_is_given(model, monkeypatch, limits):
    with pytest.raises(EdgekdError, match="milliseconds are for one given device") as e:
        checked(model(), budget(**limits), baseline=model(), on_device=here())
    assert "max_ratio" in e.value.hint
    given = here(url="local:", protocol=QUICK.model_copy(update={"launches": 5}))
    assert checked(model(), budget(**limits), baseline=model(), on_device=given).limits[0].status != "not measured"
    monkeypatch.setenv("RUNNER_ENVIRONMENT", "github-hosted")
    with pytest.raises(EdgekdError, match="GitHub-hosted"):
        checked(model(), budget(**limits), on_device=here())


def test_a_paced_budget_is_measured_paced_and_a_comparison_in_short_launches():
    paced = defaults(budget(latency={"limit_ms": 5, "cadence_hz": 30}), compared=False)
    assert (paced.loop, paced.cadence_hz, paced.seconds) == ("paced", 30, 2)
    assert defaults(budget(latency={"max_ratio": 1.05}), compared=True).seconds == 0.3
    assert defaults(budget(latency={"max_ratio": 1.05}, load={"limit_ms": 5}), compared=True).seconds == 2


def test_nodes_are_counted_where_the_budget_asks(model):
    found = undisturbed(model(), budget(fallback={"max_nodes": 0}), on_device=here())
    assert found.verdict.status == "pass", found.verdict
    assert found.measurement.trace.nodes
    unasked = check(model(), budget(size={"disk_bytes": 1}), on_device=here(), progress=Silent())
    assert unasked.measurement.trace is None
