"""What a budget says of its limits: which there are, in which order, and what they need."""

import pytest
from pydantic import ValidationError

from edgekd.errors import EdgekdError
from edgekd.gate.budget import Budget, for_given_device, known, load, paired, require_baseline, traced
from edgekd.gate.limits import accuracy, latency

EVERY = {
    "accuracy": {"min_top1": 0.5},
    "energy": {"limit_mj": 9},
    "fallback": {"max_nodes": 0},
    "first_inference": {"limit_ms": 99},
    "latency": {"max_ratio": 2},
    "load": {"limit_ms": 99},
    "memory": {"peak_bytes": 10**9},
    "size": {"disk_bytes": 10**9},
}


def budget(**limits):
    return Budget.model_validate({"name": "b", **limits})


def tables(found):
    return [limit.table for limit in found.limits()]


def test_what_guides_the_search_comes_first_and_what_is_trained_last():
    order = ["latency", "energy", "fallback", "first_inference", "load", "memory", "size", "accuracy"]
    assert tables(budget(**EVERY)) == order
    assert tables(budget(size={"disk_bytes": 1})) == ["size"]


@pytest.mark.parametrize(
    ("limits", "needs"),
    [
        ({"latency": {"max_ratio": 2}}, {"paired"}),
        ({"latency": {"limit_ms": 9}}, {"a given device"}),
        ({"latency": {"limit_ms": 9, "max_ratio": 2}}, {"paired", "a given device"}),
        ({"load": {"limit_ms": 99}}, {"a given device"}),
        ({"first_inference": {"limit_ms": 99}}, {"a given device"}),
        ({"energy": {"limit_mj": 9}}, {"a given device"}),
        ({"fallback": {"max_nodes": 0}}, {"a trace"}),
        ({"memory": {"peak_bytes": 1}, "size": {"disk_bytes": 1}, "accuracy": {"max_drop_pp": 1}}, set()),
        (EVERY, {"paired", "a given device", "a trace"}),
    ],
)
def test_what_the_limits_need(limits, needs):
    asked = {"paired": paired, "a given device": for_given_device, "a trace": traced}
    assert {need for need, of in asked.items() if of(budget(**limits))} == needs


def test_limits_can_be_taken_by_what_they_need():
    every = budget(**EVERY)
    assert tables(every.only(lambda needs: needs.guides_search)) == ["latency"]
    assert tables(every.only(lambda needs: not needs.trained)) == tables(every)[:-1]
    assert every.of(accuracy.Settings) == accuracy.Settings(min_top1=0.5)
    assert budget(latency={"limit_ms": 9}).of(accuracy.Settings) is None
    assert budget(latency={"limit_ms": 9}).of(latency.Settings).limit_ms == 9


@pytest.mark.parametrize("percentile", [40, 95])
def test_a_ratio_is_of_medians_alone(percentile):
    with pytest.raises(ValidationError, match="max_ratio is judged at percentile 50 only"):
        budget(latency={"max_ratio": 1.1, "percentile": percentile})
    assert budget(latency={"max_ratio": 1.1, "percentile": 50}) == budget(latency={"max_ratio": 1.1})


@pytest.mark.parametrize(
    ("limits", "key"),
    [({"latency": {"max_ratio": 2}}, "latency.max_ratio"), ({"accuracy": {"max_drop_pp": 1}}, "accuracy.max_drop_pp")],
)
def test_what_is_relative_needs_a_baseline(limits, key):
    with pytest.raises(EdgekdError, match=f"budget b: {key} is relative to a baseline, and none was given"):
        require_baseline(budget(**limits), given=False)
    require_baseline(budget(**limits), given=True)
    require_baseline(budget(latency={"limit_ms": 9}, accuracy={"min_top1": 0.5}), given=False)


def test_a_budget_is_found_by_its_name():
    every = {found.name: found for found in known()}
    assert every
    assert {name: load(name) for name in every} == every
    with pytest.raises(EdgekdError, match="no budget 'nonesuch'"):
        load("nonesuch")


@pytest.mark.parametrize(("latency", "energy", "fits"), [(30, 30, True), (None, None, True), (30, None, False)])
def test_limits_for_different_cadences_are_no_budget(latency, energy, fits):
    """All of them are judged on one measurement."""
    limits = {"latency": {"limit_ms": 9, "cadence_hz": latency}, "energy": {"limit_mj": 9, "cadence_hz": energy}}
    if fits:
        assert budget(**limits)
    else:
        with pytest.raises(ValidationError, match=r"\[latency\] and \[energy\] .* the same cadence_hz"):
            budget(**limits)
