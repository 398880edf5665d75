from types import SimpleNamespace

import pytest

from edgekd.pipeline.again import dropped_out, further, gone
from edgekd.values import Plan, Proposal, Structure
from edgekd.values.result import Dropped

PLANNED, NEXT = (Proposal(structure=Structure(zeros=zeros), what=f"{zeros}") for zeros in (0.4, 0.45))
PLAN = Plan(proposal=PLANNED, further=NEXT, feasible=True, variants=("int8",), why="measured")


def finished(variant="int8", usable=("fp32", "int8"), latency="fail", beyond=0.03, meets=False):
    return SimpleNamespace(variant=variant, usable=frozenset(usable), latency=latency, beyond=beyond, meets=meets)


def test_what_was_counted_on_and_dropped_out_is_gone():
    assert gone(PLAN, finished("fp32", usable={"fp32"}, beyond=0.6)) == ("int8",)


def test_the_reason_is_that_of_the_variant():
    """Of each by its own, not by that of one whose name begins as its does."""
    dropped = [("student-ort-int8-partial", "not clearly faster"), ("student-ort-int8", "loses 2 points")]
    choice = SimpleNamespace(dropped=tuple(Dropped(name=name, why=why) for name, why in dropped))
    found = dropped_out(("ort-int8", "ort-int8-partial"), SimpleNamespace(choice=choice))
    assert found == (
        "trained, ort-int8 dropped out (loses 2 points) and ort-int8-partial dropped out (not clearly faster)"
    )


@pytest.mark.parametrize(
    ("plan", "left"),
    [
        ({}, finished("int8")),  # it is there
        ({}, finished("fp32", usable={"fp32"}, meets=True)),  # without it the budget is met all the same
        ({"variants": ("fp32", "int8")}, finished("fp32", usable={"fp32"})),  # the other was counted on too
        ({"feasible": False}, finished("fp32", usable={"fp32"})),
        ({"feasible": None}, finished("fp32", usable={"fp32"})),
    ],
)
def test_nothing_is_gone(plan, left):
    assert gone(PLAN.model_copy(update=plan), left) == ()


@pytest.mark.parametrize(
    ("latency", "beyond", "says"),
    [
        ("fail", 0.03, "it missed the latency by 3.0%, so one step further"),
        ("inconclusive", -0.001, "its latency is too close to the limit to decide, so one step further"),
    ],
)
def test_a_little_is_made_up_by_one_step(latency, beyond, says):
    again = further(PLAN, finished(latency=latency, beyond=beyond))
    assert (again.proposal, again.further) == (NEXT, None)
    assert again.why == f"measured; trained, {says}"


def test_what_one_step_cannot_make_up_is_not_trained_again():
    assert further(PLAN, finished(beyond=0.4)) is None
    assert further(PLAN, finished(latency="pass", beyond=0.0)) is None
    assert further(PLAN.model_copy(update={"further": None}), finished()) is None
    assert further(PLAN.model_copy(update={"feasible": False}), finished()) is None
