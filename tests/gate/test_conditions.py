import math
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError, ExitCode, MeasurementError
from edgekd.gate.budget import Budget, Conditions
from edgekd.gate.conditions import protocol_for, require_conditions, require_met
from edgekd.gate.judge import judge
from edgekd.values import File, MeasuringProtocol

# what the `measurement` fixture makes
MET = {
    "target": "x86-cpu",
    "machine": "abc",
    "cpu": "some",
    "runtime": "onnxruntime",
    "runtime_version": "1.31.1",
    "provider": "CPUExecutionProvider",
    "threads": 1,
    "batch": 1,
    "governor": "performance",
    "power_mode": "15W",
    "clocks_locked": True,
    "artifact": "net",
    "transfers": "included",
}


def budget(**limits):
    return Budget.model_validate({"name": "mine", **limits})


def paced(cadence_hz):
    return MeasuringProtocol(loop="paced", cadence_hz=cadence_hz)


def test_a_measurement_that_meets_every_condition_is_judged(measurement):
    assert set(MET) == set(Conditions.model_fields)
    assert judge(budget(conditions=MET, latency={"limit_ms": 2}), measurement()).status == "pass"


@pytest.mark.parametrize("condition", Conditions.model_fields)
def test_each_condition_that_is_not_met_is_refused_with_what_differs(measurement, condition):
    others = {"transfers": "excluded", "clocks_locked": False}
    wanted = others.get(condition, 2 if isinstance(MET[condition], int) else "another")
    limits = budget(conditions=MET | {condition: wanted}, latency={"limit_ms": 2})
    with pytest.raises(MeasurementError) as e:
        judge(limits, measurement())
    assert f"budget 'mine' isn't for this measurement of 'net': {condition} is {MET[condition]!r}" in e.value.message
    assert e.value.message.endswith(f"the budget is for {wanted!r}")
    assert e.value.exit_code == ExitCode.INVALID
    assert "budgets init" in e.value.hint


def test_all_differences_are_listed(measurement):
    conditions = {"runtime_version": "1.30.0", "threads": 4}
    with pytest.raises(MeasurementError) as e:
        require_conditions(budget(conditions=conditions, latency={"limit_ms": 2, "cadence_hz": 30}), measurement())
    assert "runtime_version is '1.31.1', the budget is for '1.30.0'; threads is 1" in e.value.message
    assert "the latency was measured in a closed loop, not paced at 30 Hz" in e.value.message


@pytest.mark.parametrize(
    ("wanted", "found", "says", "remedy"),
    [
        (30, MeasuringProtocol(), "in a closed loop, not paced at 30 Hz", "Measure with --cadence-hz 30"),
        (30, paced(15.0), "paced at 15 Hz, not paced at 30 Hz", "Measure with --cadence-hz 30"),
        (None, paced(29.97), "paced at 29.97 Hz, not in a closed loop", "Measure without --cadence-hz"),
    ],
)
def test_latency_of_another_cadence_is_refused(measurement, wanted, found, says, remedy):
    limits = budget(latency={"limit_ms": 2, "cadence_hz": wanted})
    with pytest.raises(MeasurementError, match=says) as e:
        judge(limits, measurement(protocol=found))
    assert remedy in e.value.hint


@pytest.mark.parametrize(
    ("wanted", "found", "says"),
    [
        (None, paced(30.0), "the energy was measured paced at 30 Hz, not in a closed loop"),
        (30, MeasuringProtocol(), "the energy was measured in a closed loop, not paced at 30 Hz"),
    ],
)
def test_energy_of_another_cadence_is_refused(measurement, wanted, found, says):
    """In a paced loop it holds what the device takes until the next inference is due."""
    limits = budget(energy={"limit_mj": 99, "cadence_hz": wanted})
    with pytest.raises(MeasurementError, match=says):
        judge(limits, measurement(protocol=found))
    assert protocol_for(limits, MeasuringProtocol()).cadence_hz == wanted


def in_turns(measurement, ms):
    """Five launches of turns of ten periods at 30 Hz, in which what is slower waits for itself, as agents time it."""
    period, turn = 1000 / 30, []
    for number in range(math.ceil(10 * period / max(ms, period))):
        turn.append(ms + max(0.0, number * (ms - period)))
    return measurement([[turn] * 6] * 5, protocol=paced(30.0))


def test_what_does_not_keep_up_with_its_cadence_fails_whatever_its_milliseconds(measurement):
    """At 36 ms each frame comes 2.7 ms later than the one before, without end; ten of them are at most 60 ms late."""
    limits = budget(latency={"limit_ms": 100, "percentile": 95, "cadence_hz": 30})
    assert judge(limits, in_turns(measurement, 30)).status == "pass"
    late = judge(limits, in_turns(measurement, 36))
    assert late.status == "fail"
    assert "it doesn't keep up with 30 Hz" in late.limits[0].evidence
    slow = judge(limits, in_turns(measurement, 36).model_copy(update={"invalid": ("it throttled",)}))
    assert slow.status == "invalid"


def test_a_ratio_to_what_does_not_keep_up_is_none(measurement):
    """30 ms beside 40 seem to take less than half: the baseline waits for itself."""
    limits = budget(latency={"max_ratio": 0.5, "cadence_hz": 30})
    model, baseline = (in_turns(measurement, ms) for ms in (30, 40))
    found = judge(limits, model, baseline)
    assert found.status == "inconclusive"
    assert "compare the two in a closed loop" in found.limits[0].evidence
    assert judge(limits, baseline, model).status == "fail"
    assert judge(limits, in_turns(measurement, 12), in_turns(measurement, 32)).status == "pass"


def test_the_artifact_is_known_by_its_files_name_too(measurement):
    """Two files of one name, as those of two branches, are called by their paths."""
    found = measurement()
    files = (File(path=Path("models/model.onnx"), sha256="0" * 64),)
    named = found.artifact.model_copy(update={"name": "models/model.onnx", "files": files})
    asked = budget(conditions={"artifact": "model"}, latency={"limit_ms": 2})
    require_conditions(asked, found.model_copy(update={"artifact": named}))
    other = budget(conditions={"artifact": "other"}, latency={"limit_ms": 2})
    with pytest.raises(MeasurementError, match=r"artifact is 'models/model.onnx', the budget is for 'other'"):
        require_conditions(other, found.model_copy(update={"artifact": named}))


def test_latency_of_the_same_cadence_is_judged(measurement):
    limits = budget(latency={"limit_ms": 2, "cadence_hz": 30})
    assert judge(limits, measurement(protocol=paced(30.0))).status == "pass"


def test_the_protocol_is_paced_where_a_limit_is():
    usual = MeasuringProtocol(launches=7)
    assert protocol_for(budget(latency={"limit_ms": 2}, load={"limit_ms": 9}), usual) == usual
    found = protocol_for(budget(latency={"limit_ms": 2, "cadence_hz": 30}), usual)
    assert found == MeasuringProtocol(launches=7, loop="paced", cadence_hz=30.0)
    # as a run for a camera has written it to its recipe, which is then used for another budget
    assert protocol_for(budget(latency={"limit_ms": 2}), found) == usual
    assert protocol_for(budget(size={"disk_bytes": 10**9}), found) == found


def test_what_a_run_would_be_refused_for_at_its_end_is_said_at_its_beginning():
    limits = budget(conditions={"runtime": "onnxruntime", "threads": 1, "artifact": "net"}, latency={"limit_ms": 2})
    shared = {"threads": 1}
    require_met(limits, {"onnxruntime-fp32": {"runtime": "onnxruntime", **shared}})
    found = {name: {"runtime": name.partition("-")[0], **shared} for name in ("onnxruntime-fp32", "openvino-int8")}
    with pytest.raises(
        EdgekdError, match=r"runtime is 'openvino', the budget is for 'onnxruntime' \(openvino-int8\)"
    ) as e:
        require_met(limits, found)
    assert "[conditions]" in e.value.hint
    assert e.value.exit_code == ExitCode.USAGE


def test_a_cadence_is_irrelevant_to_other_limits(measurement):
    assert judge(budget(size={"disk_bytes": 10**9}), measurement(protocol=paced(30.0))).status == "pass"


def test_where_nothing_ran_only_the_target_and_the_artifact_are_compared(measurement):
    nothing = measurement(launches=(), on_target=False)
    limits = {"latency": {"limit_ms": 2, "cadence_hz": 30}}
    assert judge(budget(conditions=MET | {"machine": "other"}, **limits), nothing).status == "not measured"
    for condition in ("target", "artifact"):
        with pytest.raises(EdgekdError, match=condition):
            judge(budget(conditions={condition: "another"}, **limits), nothing)


def test_transfers_count_unless_the_budget_leaves_them_out(measurement):
    without = measurement(protocol=MeasuringProtocol(transfers="excluded"))
    limits = {"latency": {"limit_ms": 2}}
    with pytest.raises(MeasurementError, match="transfers is 'excluded', the budget is for 'included'"):
        judge(budget(**limits), without)
    leaves_out = budget(conditions={"transfers": "excluded"}, **limits)
    assert judge(leaves_out, without).status == "pass"
    assert protocol_for(leaves_out, MeasuringProtocol()).transfers == "excluded"
    with pytest.raises(MeasurementError, match="'mine' is for measurements with transfers") as e:
        protocol_for(budget(**limits), without.protocol)
    assert 'transfers = "excluded"' in e.value.hint


def test_what_a_device_does_not_report_is_told_as_such(measurement):
    host = measurement().host.model_copy(update={"power_mode": None})
    limits = budget(conditions={"power_mode": "15W"}, latency={"limit_ms": 2})
    with pytest.raises(MeasurementError, match="power_mode is not reported, the budget is for '15W'"):
        judge(limits, measurement(host=host))
    with pytest.raises(EdgekdError, match=r"power_mode is not reported, the budget is for '15W' \(fp32"):
        require_met(limits, {"fp32": {"power_mode": None}})
