"""Arms that are as fast as they should be, on a simulated device whose times are known."""

import math
import re
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from simulated import all_layers, each_layer

from edgekd.errors import MeasurementError
from edgekd.progress import Silent
from edgekd.studies import run as verb
from edgekd.studies._base import CE, DISTIL, PRUNE, SMOKE, Arm
from edgekd.studies.run import equal_latency

TINY = SMOKE.model_copy(update={"epochs": 1, "teacher_epochs": 1, "batch_size": 128})
LABELS = {"model": "resnet8", "steps": [dict(PRUNE), dict(DISTIL)], "recover.losses": dict(CE)}
UNTRAINED = {"model": "resnet8", "steps": [dict(PRUNE)], "recover.losses": dict(CE)}
RATIO = 0.4


def searched(method, **settings):
    own = {**LABELS, "search.method": method, "search.margin": 0.0, "search.options": {"networks": 8}, **settings}
    return Arm(name=method, factors={"plan": method}, settings=own, latency_ratio=RATIO)


def uniform(**changes):
    choices = tuple({"search.ratio": round(0.05 * step, 2)} for step in range(1, 19))
    fields = {"name": "uniform", "factors": {"plan": "uniform"}, "settings": LABELS, "choices": choices}
    return Arm(**{**fields, "as_fast_as": "latency_table", "control": "latency_table", **changes})


def all_three(scale):
    few, wide = ({"search.options": {"networks": 8, **more}} for more in ({"structures": 24}, {"step": 0.2}))
    return (searched("latency_table", **few), searched("netadapt", **wide), uniform())


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a study of these arms; on the device where one is given."""

    def run(arms, device=None, target="x86-cpu"):
        members = {"TITLE": "Tiny", "PAPER": "Nobody", "PUBLISHED": (), "DIFFERS": (), "REPRESENTATIONS": False}
        monkeypatch.setattr(verb, "study", lambda _: SimpleNamespace(**members, SCALES={"smoke": TINY}, arms=arms))
        if device:
            monkeypatch.setattr(verb, "device_of_target", lambda *_: nullcontext(device))
        return verb.run_study("tiny", TINY, tmp_path / "out", seeds=1, target=target, progress=Silent())

    return run


@pytest.mark.slow
def test_searches_plan_for_the_ratio_and_the_others_are_as_fast(run, simulated, tmp_path):
    device = simulated(latency_ms=all_layers, nodes=each_layer)
    result = run(all_three, device)
    assert not result.failures
    ours, steps, other = result.arms
    for arm in (ours, steps):
        assert 0.75 * RATIO < arm.costs.latency.estimate <= RATIO
        assert arm.settings["search.structure"]["widths"]
        assert "measured to meet the budget in onnxruntime-fp32" in arm.chosen
    assert "steps lead to it" in steps.chosen
    assert abs(math.log(other.costs.latency.estimate / ours.costs.latency.estimate)) < 0.2
    assert other.settings["search.ratio"] > 0.1
    assert f"{ours.costs.latency.estimate:.3f} was wanted" in other.chosen
    assert (other.gain.control, steps.gain) == ("latency_table", None)
    report = (tmp_path / "out" / "report.md").read_text()
    assert f"- `netadapt`: {steps.chosen}" in report
    assert "The control of all is `latency_table`." in report
    measured = device.finished
    assert run(all_three, device) == result
    assert device.finished == measured


def test_the_nearest_choice_is_found_by_few_measurements(run, simulated):
    def arms(scale):
        # each choice is an arm of its own as well, whose latency is measured
        stated = [
            uniform(name=str(n), choices=(), as_fast_as=None, control=None, settings={**UNTRAINED, **choice})
            for n, choice in enumerate(uniform().choices[5:15])
        ]
        return (uniform(settings=UNTRAINED, latency_ratio=RATIO, as_fast_as=None, control=None), *stated)

    chosen, *every = run(arms, simulated(latency_ms=all_layers, nodes=each_layer)).arms
    latencies = [arm.costs.latency.estimate for arm in every]
    nearest = min(latencies, key=lambda ratio: abs(math.log(ratio / RATIO)))
    assert chosen.costs.latency.estimate == pytest.approx(nearest)
    assert len(set(latencies)) > 4
    assert re.search("nearest of [345] that were compared", chosen.chosen)


def test_what_a_disturbed_device_cannot_tell_is_measured_at_the_next_start(run, simulated, monkeypatch):
    def arms(scale):
        return (uniform(settings=UNTRAINED, latency_ratio=RATIO, as_fast_as=None, control=None),)

    def disturbed(*_, **__):
        raise MeasurementError("it throttled", "Let it cool.")

    device = simulated(latency_ms=all_layers, nodes=each_layer)
    with monkeypatch.context() as hot:
        hot.setattr(equal_latency, "measured", disturbed)
        (failure,) = run(arms, device).failures
    assert failure.message == "it throttled (Let it cool.)"
    result = run(arms, device)
    assert not result.failures
    assert "of the teacher's latency, where 0.400 was wanted" in result.arms[0].chosen


def test_latencies_that_could_not_be_measured_are_a_remark_with_the_remedy(run, simulated, monkeypatch):
    def arms(scale):
        return (uniform(settings={**UNTRAINED, "search.ratio": 0.5}, choices=(), as_fast_as=None, control=None),)

    def disturbed(*_, **__):
        raise MeasurementError("it throttled", "Let it cool.")

    monkeypatch.setattr("edgekd.studies.run.latency.measured", disturbed)
    result = run(arms, simulated(latency_ms=all_layers, nodes=each_layer))
    assert result.arms[0].costs.latency is None
    assert result.remarks == ("the latency of uniform was not measured: it throttled (Let it cool.)",)


def test_a_choice_made_on_another_machine_is_made_again(run, simulated):
    """A folder on a shared disk, whose device is called the same."""

    def arms(scale):
        return (uniform(settings=UNTRAINED, latency_ratio=RATIO, as_fast_as=None, control=None),)

    first = run(arms, simulated(latency_ms=all_layers, nodes=each_layer))
    other = simulated(latency_ms=lambda path: 1.0, nodes=each_layer, machine="another")
    assert first.arms[0].chosen != run(arms, other).arms[0].chosen


def test_a_plan_that_cannot_be_made_fails_with_all_that_refer_to_it(run, simulated):
    def arms(scale):
        return (searched("latency_table", **{"prune.criterion": "magnitude"}), uniform())

    result = run(arms, simulated(latency_ms=all_layers, nodes=each_layer))
    assert [failure.arm for failure in result.failures] == ["latency_table", "uniform"]


def test_without_a_device_plans_are_left_out_and_the_others_take_their_ratio(run, tmp_path):
    result = run(all_three, target="jetson")
    (other,) = result.arms
    assert not result.failures
    assert other.gain is None
    (teacher,) = result.teachers
    assert other.costs.macs / teacher.costs.macs == pytest.approx(RATIO, abs=0.1)
    assert "of the teacher's multiply-accumulates, where 0.400 was wanted" in other.chosen
    assert [remark.split(":")[0] for remark in result.remarks[:2]] == ["latency_table", "netadapt"]
    assert "there is no device of target jetson" in (tmp_path / "out" / "report.md").read_text()
