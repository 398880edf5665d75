"""The gate over devices whose clock is simulated: their true latencies are known, so verdicts can be counted."""

import random
from itertools import count
from types import SimpleNamespace

import pytest
from simulated import INFERENCES

from edgekd import catalog
from edgekd.devices.agent import protocol
from edgekd.errors import EdgekdError, MeasurementError
from edgekd.gate.budget import Budget
from edgekd.gate.gate import gate
from edgekd.gate.judge import judge_at_look
from edgekd.measuring import session
from edgekd.progress import Silent
from edgekd.values import Accuracy, Measurement, MeasuringProtocol

TARGET = catalog.target("x86-cpu")
PROTOCOL = MeasuringProtocol(launches=5, seconds=0.3, block_seconds=0.1)


class Shared:
    """A machine whose speed wanders by tens of percent, as of one that others use as well.

    Each launch has its own offset, each sample its own noise, and now and then a spike.
    """

    def __init__(self, seed, launch_sd=0.002):
        self.launch_sd, self.speed, self.now = launch_sd, 1.0, 0.0
        self.generator = random.Random(seed)

    def launch(self):
        offset = self.generator.gauss(1, self.launch_sd)

        def block(ms, seconds):
            self.pass_time(seconds)
            samples = tuple(ms * offset * self.noise() for _ in range(INFERENCES))
            return protocol.Timed(samples, energy_mj=None, canary_ms=self.speed)

        return block

    def noise(self):
        spike = 5 if self.generator.random() < 0.01 else 1
        return self.speed * spike * self.generator.lognormvariate(0, 0.02)

    def pass_time(self, seconds):
        self.now += seconds
        # blocks beside each other see nearly the same speed
        self.speed = min(2.0, max(0.7, self.speed * self.generator.lognormvariate(0, 0.005)))


def in_turns(*latencies):
    """Milliseconds of the artifacts of a launch in their order, whatever their files are."""
    number = count()
    return lambda path: latencies[next(number) % len(latencies)]


def budget(**limits):
    return Budget.model_validate({"name": "b", **limits})


@pytest.fixture
def judged(measurement, simulated, monkeypatch):
    """Judges a file whose latency is so many times its reference's."""

    def make(
        device,
        limits,
        *,
        now=lambda: 0.0,
        accuracies=(None, None),
        reference=True,
        time_limit_s=30,
        explained=False,
        **protocol,
    ):
        artifact = measurement().artifact
        choice, other = (artifact.model_copy(update={"name": name}) for name in ("choice", "reference"))
        monkeypatch.setattr(session, "time", SimpleNamespace(monotonic=now))
        return gate(
            limits,
            choice,
            other if reference else None,
            device,
            target=TARGET,
            protocol=PROTOCOL.model_copy(update=protocol),
            accuracies=accuracies,
            time_limit_s=time_limit_s,
            explained=explained,
            progress=Silent(),
        )

    return make


@pytest.fixture
def statuses(judged, simulated):
    """The verdicts of so many sessions on shared machines, each in its own state."""

    def made(ratio, max_ratio, sessions, time_limit_s=30, **how):
        found = []
        for seed in range(sessions):
            machine = Shared(seed, **how)
            device = simulated(in_turns(ratio, 1.0, 1.0), timing=machine.launch)
            limits = budget(latency={"max_ratio": max_ratio})
            verdict = judged(device, limits, now=lambda machine=machine: machine.now, time_limit_s=time_limit_s).verdict
            found.append(verdict.status)
        return found

    return made


def test_the_choice_its_reference_and_the_control_are_measured_in_one_session(judged, simulated):
    found = judged(simulated(in_turns(0.5, 1.0, 1.0)), budget(latency={"max_ratio": 0.6}))
    assert found.verdict.status == "pass"
    assert (found.measurement.artifact.name, found.baseline.artifact.name) == ("choice", "reference")
    assert found.measurement.session == found.baseline.session
    assert found.verdict.control.estimate == 1.0
    assert (found.verdict.looks, found.verdict.confidence) == (1, 0.975)


@pytest.mark.parametrize(
    ("control", "status", "looks"), [(1.005, "pass", 1), (1.015, "inconclusive", 3), (1.04, "invalid", 3)]
)
def test_a_session_that_is_off_itself_decides_nothing_near_the_limit(judged, simulated, control, status, looks):
    """The time is enough for five launches, ten and twenty."""
    seconds = count()
    device = simulated(in_turns(1.04, 1.0, control))
    found = judged(device, budget(latency={"max_ratio": 1.05}), now=lambda: next(seconds), time_limit_s=2.5)
    assert (found.verdict.status, found.verdict.looks) == (status, looks)
    stored = [Measurement.model_validate_json(one.model_dump_json()) for one in (found.measurement, found.baseline)]
    assert judge_at_look(budget(latency={"max_ratio": 1.05}), *stored).verdict == found.verdict


def test_it_looks_until_the_limits_are_decided_and_spends_its_error_on_the_looks(judged, simulated):
    """Of 75 inferences p99 has no bound: at 95 % it would need 299, at the fourth look's 99.7 % it needs 575."""
    found = judged(
        simulated(in_turns(1.0)), budget(latency={"percentile": 99, "limit_ms": 2}), reference=False, launches=1
    )
    verdict = found.verdict
    assert (verdict.status, verdict.looks, len(found.measurement.launches)) == ("pass", 4, 8)
    assert verdict.confidence == 1 - 0.05 / 2**4
    assert "p99 ≤ 1 ms at 99.688 %" in verdict.limits[0].evidence


def test_stored_samples_of_a_verdict_give_the_same_verdict(judged, simulated):
    """Its p99 has a bound at the fourth look's confidence; what was measured for no verdict is judged at 95 %."""
    limits = budget(latency={"percentile": 99, "limit_ms": 2})
    found = judged(simulated(in_turns(1.0)), limits, reference=False, launches=1)
    stored = Measurement.model_validate_json(found.measurement.model_dump_json())
    assert judge_at_look(limits, stored).verdict == found.verdict
    assert "at 99.688 %" in found.verdict.limits[0].evidence
    profiled = stored.model_copy(update={"looks": None})
    assert "p99 ≤ 1 ms at 95 %" in judge_at_look(limits, profiled).verdict.limits[0].evidence


def test_when_the_time_is_up_what_is_open_is_inconclusive(judged, simulated):
    seconds = count()
    limits = budget(latency={"percentile": 99.9, "limit_ms": 2})
    found = judged(simulated(in_turns(1.0)), limits, now=lambda: next(seconds), reference=False, time_limit_s=1)
    assert (found.verdict.status, found.verdict.looks) == ("inconclusive", 1)


def test_a_device_that_throttles_is_not_measured_on_and_on(judged, simulated):
    seconds, device = count(), simulated(in_turns(1.0), throttled=lambda process: True)
    found = judged(device, budget(latency={"max_ratio": 1.05}), now=lambda: next(seconds), time_limit_s=2.5)
    assert (found.verdict.status, found.verdict.looks) == ("invalid", 1)


def test_without_a_device_only_what_needs_none_is_judged(judged):
    accuracies = (Accuracy(correct=c, images=100, dataset="digits", split="test") for c in (89, 91))
    limits = budget(latency={"max_ratio": 0.5}, size={"disk_bytes": 10**9}, accuracy={"max_drop_pp": 2})
    found = judged(None, limits, accuracies=tuple(accuracies))
    assert found.verdict.status == "not measured"
    assert [limit.status for limit in found.verdict.limits] == ["not measured", "pass", "pass"]
    assert (found.measurement.launches, found.baseline.accuracy.correct) == ((), 91)
    assert (found.verdict.looks, found.verdict.confidence) == (1, 0.975)


def test_accuracies_are_judged_beside_the_latency(judged, simulated):
    accuracies = tuple(Accuracy(correct=c, images=100, dataset="digits", split="test") for c in (88, 91))
    limits = budget(latency={"max_ratio": 0.6}, accuracy={"max_drop_pp": 2})
    found = judged(simulated(in_turns(0.5, 1.0, 1.0)), limits, accuracies=accuracies)
    assert [limit.status for limit in found.verdict.limits] == ["pass", "fail"]


def test_a_verdict_is_explained_by_the_nodes_of_what_it_is_about(judged, simulated):
    traced = []

    def one_node(path, ms):
        traced.append(path)
        return [protocol.Node(name="conv", op="Conv", provider="CPUExecutionProvider", ms=ms)]

    limits = budget(latency={"max_ratio": 0.6})
    found = judged(simulated(in_turns(0.5, 1.0, 1.0), nodes=one_node), limits, explained=True)
    assert [node.name for node in found.measurement.trace.nodes] == ["conv"]
    assert found.baseline.trace.nodes
    assert len(traced) == 2  # the control is the reference once more
    assert judged(simulated(in_turns(0.5, 1.0, 1.0)), limits).measurement.trace is None


def test_nodes_that_cannot_be_timed_cost_no_verdict_but_one_that_needs_them(judged, simulated):
    def refused(path, ms):
        raise MeasurementError("the runtime can't time its nodes", "Retry.")

    found = judged(
        simulated(in_turns(0.5, 1.0, 1.0), nodes=refused), budget(latency={"max_ratio": 0.6}), explained=True
    )
    assert (found.verdict.status, found.measurement.trace) == ("pass", None)
    needed = budget(fallback={"max_nodes": 0})
    with pytest.raises(MeasurementError, match="can't time its nodes"):
        judged(simulated(in_turns(1.0), nodes=refused), needed, reference=False, explained=True)


def test_without_a_ratio_there_is_no_control(judged, simulated):
    device = simulated(in_turns(1.0, 2.0))
    found = judged(device, budget(load={"limit_ms": 9}), launches=6)
    assert (found.verdict.status, found.verdict.control, device.finished) == ("pass", None, 2 * 6)


def test_a_relative_limit_without_a_reference_is_refused_before_anything_is_measured(judged, simulated):
    device = simulated()
    with pytest.raises(EdgekdError, match="relative"):
        judged(device, budget(latency={"max_ratio": 1}), reference=False)
    assert device.finished == 0


def test_a_model_beside_itself_is_passed_at_a_margin_of_5_percent(statuses):
    found = statuses(ratio=1.0, max_ratio=1.05, sessions=15)
    assert set(found) <= {"pass", "inconclusive"}
    assert found.count("pass") >= 14


def test_a_noisy_machine_decides_what_is_far_from_the_limit_and_never_is_invalid(statuses):
    assert statuses(ratio=0.3, max_ratio=0.5, sessions=10, launch_sd=0.05) == ["pass"] * 10


@pytest.mark.slow
@pytest.mark.parametrize("launch_sd", [0.002, 0.02])
def test_false_verdicts_are_rare_however_often_it_looks(statuses, launch_sd):
    """At the limit itself every decision is false: 95 % allows 5 of 100, and some more since five launches are few."""
    found = statuses(ratio=1.05, max_ratio=1.05, sessions=40, launch_sd=launch_sd, time_limit_s=10)
    assert found.count("pass") + found.count("fail") <= 4
    assert found.count("invalid") <= 1


@pytest.mark.slow
def test_a_model_7_percent_slower_is_failed_at_a_margin_of_3_percent(statuses):
    found = statuses(ratio=1.07, max_ratio=1.03, sessions=40)
    assert found.count("fail") >= 37
    assert "pass" not in found


@pytest.mark.slow
def test_a_session_whose_launches_differ_wildly_is_not_decided_wrongly(statuses):
    found = statuses(ratio=1.0, max_ratio=1.05, sessions=40, launch_sd=0.05, time_limit_s=10)
    assert found.count("fail") <= 1
    assert found.count("invalid") <= 1
