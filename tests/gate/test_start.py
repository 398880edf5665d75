import math
import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekd.errors import EdgekdError, ExitCode, MeasurementError
from edgekd.gate.budget import Budget
from edgekd.gate.judge import judge, judge_at_look
from edgekd.gate.start import start_budget
from edgekd.values import Accuracy, Launch, MeasuringProtocol, Node, Trace
from edgekd.visible import visible_name

times = st.floats(0, 1e9)
names = st.text(st.characters(exclude_categories=["Cs"]))
few_examples = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def budget(text):
    return Budget.model_validate(tomllib.loads(text))


def launch(samples, *, load_ms=20.0, first_ms=3.0, peak_bytes=5_000_000, energy_mj=None):
    blocks = (tuple(samples),) if samples else ()
    return Launch(load_ms=load_ms, first_ms=first_ms, peak_bytes=peak_bytes, energy_mj=energy_mj, blocks_ms=blocks)


@st.composite
def launches(draw):
    one = st.builds(
        launch,
        st.lists(times, max_size=30),
        load_ms=times,
        first_ms=times,
        peak_bytes=st.none() | st.integers(0, 2**40),
        energy_mj=st.none() | times,
    )
    return tuple(draw(st.lists(one, min_size=1, max_size=8)))


@st.composite
def measured(draw, base):
    """A measurement with everything that a budget is made from drawn at random."""
    correct = draw(st.integers(0, 1000))
    accuracy = Accuracy(correct=correct, images=draw(st.integers(max(1, correct), 1000)), dataset="d", split="test")
    node = st.builds(Node, name=names, op=names, provider=st.sampled_from(["A", "CPUExecutionProvider"]), ms=times)
    trace = st.builds(Trace, inferences=st.just(1), nodes=st.lists(node, max_size=3).map(tuple))
    paced = st.builds(MeasuringProtocol, loop=st.just("paced"), cadence_hz=st.floats(1e-3, 1e6))
    changed = {
        "launches": draw(launches()),
        "accuracy": draw(st.sampled_from([None, accuracy])),
        "engine_bytes": draw(st.none() | st.integers(0, 2**40)),
        "protocol": draw(st.sampled_from([MeasuringProtocol(), MeasuringProtocol(batch=8)]) | paced),
        "target": draw(names),
        "host": base.host.model_copy(update={"cpu": draw(names)}),
        "artifact": base.artifact.model_copy(update={"name": draw(names), "disk_bytes": draw(st.integers(1, 2**40))}),
        "trace": draw(st.none() | trace),
    }
    return base.model_copy(update=changed)


@few_examples
@given(st.data(), names, st.floats(1, 1000))
def test_what_a_budget_was_made_from_passes_it(measurement, data, name, headroom):
    m = data.draw(measured(measurement()))
    found = budget(start_budget(m, name=name, headroom=headroom))
    assert found.name == visible_name(name)
    assert (found.conditions.target, found.conditions.cpu) == (m.target, m.host.cpu)
    verdict = judge(found, m)
    assert verdict.status == "pass"
    assert {"size.disk_bytes", "size.transfer_bytes"} <= {limit.name for limit in verdict.limits}


@few_examples
@given(st.data(), st.integers(1, 3))
def test_samples_of_a_verdict_pass_a_budget_made_of_them_as_they_are_judged(measurement, data, looks):
    m = data.draw(measured(measurement())).model_copy(update={"looks": looks})
    found = budget(start_budget(m, name="mine", headroom=1.25))
    assert judge_at_look(found, m).verdict.status == "pass"


def test_limits_are_what_was_measured_times_the_headroom(measurement):
    samples = [round(0.1 * k, 1) for k in range(1, 101)]
    one = launch(samples, load_ms=20.0, first_ms=3.0, peak_bytes=4_000_000, energy_mj=8.0)
    m = measurement(
        accuracy=Accuracy(correct=950, images=1000, dataset="digits", split="test"),
        engine_bytes=2_000_000,
        protocol=MeasuringProtocol(loop="paced", cadence_hz=30.0),
        runtime=measurement().runtime.model_copy(update={"settings": {"threads": 2}}),
        trace=Trace(inferences=1, nodes=(Node(name="n", op="Cast", provider="Other", ms=1.0),)),
    ).model_copy(update={"launches": (*[one] * 4, one.model_copy(update={"load_ms": 24.0}))})
    found = budget(start_budget(m, name="mine", headroom=1.25))
    # of 5 × 100 samples the p95 is at most the 484th with 95 %: 9.7; a median of 5 is at most the largest
    assert found.latency.model_dump() == {"percentile": 95, "limit_ms": 12.2, "max_ratio": None, "cadence_hz": 30.0}
    assert found.load.limit_ms == 30.0
    assert found.first_inference.limit_ms == 3.75
    assert found.memory.peak_bytes == 5_000_000
    assert (found.energy.limit_mj, found.energy.cadence_hz) == (10.0, 30.0)
    assert found.size.model_dump() == {
        "disk_bytes": 1_250_000,
        "transfer_bytes": 1_130_000,
        "engine_bytes": 2_500_000,
    }
    assert found.fallback.max_nodes == 1
    assert found.accuracy.min_top1 == pytest.approx(0.94)
    assert found.conditions.model_dump(exclude_none=True) == {
        "target": "x86-cpu",
        "machine": "abc",
        "cpu": "some",
        "runtime": "onnxruntime",
        "runtime_version": "1.31.1",
        "provider": "CPUExecutionProvider",
        "threads": 2,
        "batch": 1,
        "governor": "performance",
        "power_mode": "15W",
        "clocks_locked": True,
    }


@pytest.mark.parametrize(("count", "percentile"), [(59, 95), (58, 90), (28, 50), (5, 50), (4, None)])
def test_the_percentile_is_the_highest_that_the_samples_tell(measurement, count, percentile):
    text = start_budget(measurement([[[1.0] * count]]), name="b", headroom=1.0)
    latency = budget(text).latency
    assert (latency and latency.percentile) == percentile
    if not latency:
        assert "# [latency] limit_ms: 4 samples support no percentile" in text


def test_what_too_few_launches_tell_is_left_out_and_said(measurement):
    text = start_budget(measurement([[[1.0] * 20]] * 4), name="b", headroom=1.25)
    found = budget(text)
    assert found.load is found.first_inference is None
    assert "# [load] limit_ms: milliseconds that loading takes; to limit it, measure in 5 launches, not 4" in text


@pytest.mark.parametrize(("count", "looks", "high"), [(10, None, 9), (13, None, 10), (13, 1, 11)])
def test_what_each_launch_has_one_of_is_limited_above_its_median(measurement, count, looks, high):
    each = [float(1 + i) for i in range(count)]
    launches = tuple(launch([1.0] * 20, load_ms=ms, first_ms=ms, energy_mj=ms) for ms in each)
    m = measurement().model_copy(update={"launches": launches, "looks": looks})
    found = budget(start_budget(m, name="b", headroom=1.0))
    assert (found.load.limit_ms, found.first_inference.limit_ms, found.energy.limit_mj) == (high, high, high)


def test_what_a_limit_cannot_say_is_left_out(measurement):
    """Memory and energy of nothing, a first inference and a load in no time, a floor of accuracy below 0."""
    few = Accuracy(correct=10, images=1000, dataset="digits", split="test")
    nothing = launch([1.0] * 20, load_ms=0.0, first_ms=0.0, peak_bytes=0, energy_mj=0.0)
    m = measurement(accuracy=few).model_copy(update={"launches": (nothing,) * 5})
    for correct in (10, 5):
        left = m.model_copy(update={"accuracy": few.model_copy(update={"correct": correct})})
        found = budget(start_budget(left, name="b", headroom=1.25))
        assert {limit.table for limit in found.limits()} == {"latency", "size"}


def test_the_comments_say_what_was_measured(measurement):
    text = start_budget(measurement(), name="b", headroom=1.5)
    assert "limit_ms = 1.5 # measured 1, at most 1\n" in text
    assert "disk_bytes = 1_500_000 # of the file; measured 1,000,000\n" in text
    assert "× 1.5," in text


@pytest.mark.parametrize(
    "hostile", ['"', "\\", "a\nname = 'b'", "\x7f\x00\x1f\t\r", "]]\n#", "\U0001f600 ü \u2028", "'''"]
)
def test_names_are_escaped(measurement, hostile):
    base = measurement()
    m = base.model_copy(
        update={
            "target": hostile,
            "artifact": base.artifact.model_copy(update={"name": hostile}),
            "runtime": base.runtime.model_copy(update={"provider": hostile}),
            "trace": Trace(inferences=1, nodes=()),
        }
    )
    found = budget(start_budget(m, name=hostile, headroom=1.25))
    assert (found.name, found.conditions.target, found.conditions.provider) == (visible_name(hostile), hostile, hostile)


@pytest.mark.parametrize("headroom", [0.99, 0, -1, 1001, math.nan, math.inf])
def test_a_headroom_that_is_none_is_refused(measurement, headroom):
    with pytest.raises(EdgekdError, match="headroom") as e:
        start_budget(measurement(), name="b", headroom=headroom)
    assert "1.25" in e.value.hint
    assert all(start_budget(measurement(), name="b", headroom=most) for most in (1, 1000))


@pytest.mark.parametrize(
    ("changed", "says"), [({"invalid": ("it throttled",)}, "it throttled"), ({"on_target": False}, "x86-cpu")]
)
def test_a_measurement_that_says_nothing_makes_no_budget(measurement, changed, says):
    with pytest.raises(MeasurementError, match=says) as e:
        start_budget(measurement(**changed), name="b", headroom=1.25)
    assert e.value.exit_code == ExitCode.INVALID
