import random

import pytest

from edgekd.gate.budget import Budget
from edgekd.gate.control import controlled
from edgekd.gate.judge import judge
from edgekd.values import Control


def steady(ms):
    return [[[ms] * 5] * 20] * 8


def noisy(ms, seed, sd=0.03):
    """Eight launches that differ by so much, as processes of a tiny model do on a noisy machine."""
    draw = random.Random(seed)
    offsets = [draw.gauss(1, sd) for _ in range(8)]
    return [[[ms * offset * draw.gauss(1, sd)] * 5 for _ in range(20)] for offset in offsets]


@pytest.fixture
def compared(measurement):
    """The verdict on a model of so many milliseconds beside a baseline of one, and the baseline once more."""

    def verdict(model, control, max_ratio=1.05, base=None, **limits):
        budget = Budget.model_validate({"name": "b", "latency": {"max_ratio": max_ratio}, **limits})
        first, subject, again = (measurement(blocks) for blocks in (base or steady(1.0), model, control))
        beside_itself = first.model_copy(update={"control": Control(launches=again.launches)})
        return controlled(judge(budget, subject, first), beside_itself)

    return verdict


@pytest.mark.parametrize(
    ("model", "control", "status"),
    [
        # far from the limit of 1.05, a session may be off by some percent
        (0.90, 1.00, "pass"),
        (0.90, 1.05, "pass"),
        (0.90, 0.95, "pass"),
        # not by more than 10 %, however far it is
        (0.30, 1.09, "pass"),
        (0.30, 1.12, "invalid"),
        (0.30, 0.88, "invalid"),
        # near it, the session's own error may explain the difference
        (1.04, 1.005, "pass"),
        (1.04, 1.015, "inconclusive"),
        (1.04, 0.985, "inconclusive"),
        (1.06, 1.005, "fail"),
        (1.06, 1.015, "inconclusive"),
        # an error that is proven to be larger than that difference
        (1.04, 1.03, "invalid"),
        (1.06, 0.97, "invalid"),
    ],
)
def test_the_session_may_be_off_by_less_than_what_separates_the_ratio_from_its_limit(compared, model, control, status):
    verdict = compared(steady(model), steady(control))
    assert (verdict.status, verdict.limits[0].status) == (status, status)
    assert verdict.control.estimate == pytest.approx(control)
    assert any("beside itself" in reason for reason in verdict.reasons) == (status == "invalid")
    assert f"→ {status}" in verdict.limits[0].evidence


def test_what_the_control_does_not_support_is_explained(compared):
    (limit,) = compared(steady(1.04), steady(1.015)).limits
    assert "the baseline beside itself took 1.015 to 1.015 of its own latency at 95 %" in limit.evidence
    assert "the session's own error may explain it" in limit.evidence
    assert (limit.observed, limit.high) == (1.04, 1.04)


@pytest.mark.parametrize("seed", range(20))
def test_a_tiny_model_on_a_noisy_machine_is_never_invalid_by_rule(compared, seed):
    far, near = (compared(steady(ms), noisy(1.0, seed), 0.5) for ms in (0.3, 0.497))
    assert far.status == "pass"
    assert near.status in ("pass", "inconclusive")
    assert far.control.high - far.control.low > 0.02


def test_the_control_is_irrelevant_to_what_is_no_ratio(compared):
    verdict = compared(steady(1.04), steady(1.03), size={"disk_bytes": 1_000_000})  # its size to the byte
    assert [limit.status for limit in verdict.limits] == ["invalid", "pass"]


def test_a_control_that_was_disturbed_supports_nothing(measurement):
    budget = Budget.model_validate({"name": "b", "latency": {"max_ratio": 1.05}})
    base = measurement()
    disturbed = Control(launches=base.launches, invalid=("it throttled",))
    verdict = controlled(judge(budget, base, base), base.model_copy(update={"control": disturbed}))
    assert (verdict.status, verdict.reasons) == ("invalid", ("it throttled",))


def test_five_launches_are_too_few_to_prove_that_a_session_is_off(compared):
    for control in (1.05, 0.95):
        assert compared(steady(1.04)[:5], steady(control)[:5], base=steady(1.0)[:5]).status == "inconclusive"
        assert compared(steady(1.04), steady(control)).status == "invalid"
