"""What follows from a trained student: it is taken, goes one step further, or is planned again."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from edgekd.pipeline import finish as finishing
from edgekd.pipeline.finish import Finished, finish
from edgekd.progress import Silent
from edgekd.values import Candidate, Cost, Plan, Proposal, Recipe, Structure
from edgekd.values.result import Dropped

RECIPE = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="b")
COST = Cost(parameters=1, nonzero=1, macs=1)
LEVELS = {z: Proposal(structure=Structure(zeros=z), what=f"{z}") for z in (0.4, 0.45, 0.6, 0.7)}


@dataclass
class Students:
    """Trained one after the other: the variant that is left of each, and the verdict on its latency."""

    found: list[tuple[str, str]]
    trained: list[float] = field(default_factory=list)

    def made(self, recipe, teacher, supervision, candidates, plan):
        variant, latency = self.found[len(self.trained)]
        self.trained.append(plan.structure.zeros)
        choice = SimpleNamespace(dropped=(Dropped(name="student-int8", why="differs"),))
        selection = {"variant": variant, "usable": frozenset({variant}), "latency": latency, "beyond": 0.02}
        return Finished(plan, None, SimpleNamespace(**selection, choice=choice, meets=latency == "pass"))


def again(self, candidates, seen, *, variants, why):
    assert variants == candidates == {"fp32"}
    assert [one.proposal for one in seen] == [LEVELS[0.6]]
    assert why == "trained, int8 dropped out (differs)"
    planned = {"proposal": LEVELS[0.6], "further": LEVELS[0.7], "variants": ("fp32",), "why": "planned again"}
    return Plan(feasible=True, **planned)


class Counting(frozenset):
    """The candidates of these variants: the one of the first level wasn't measured in all that lead now."""

    def has_all(self, candidate):
        return candidate.proposal != LEVELS[0.4]


@pytest.mark.parametrize(
    ("feasible", "students", "trained"),
    [
        (True, [("int8", "pass")], [0.4]),
        (True, [("int8", "inconclusive"), ("int8", "pass")], [0.4, 0.45]),
        (True, [("int8", "fail"), ("int8", "inconclusive")], [0.4, 0.45]),
        (False, [("int8", "fail")], [0.4]),
        (True, [("fp32", "fail"), ("fp32", "pass")], [0.4, 0.6]),
        (True, [("fp32", "fail"), ("fp32", "fail"), ("fp32", "pass")], [0.4, 0.6, 0.7]),
        (True, [("int8", "fail"), ("fp32", "fail"), ("fp32", "pass")], [0.4, 0.45, 0.6]),
    ],
)
def test_a_student_that_misses_is_followed_by_what_the_plan_has_left(monkeypatch, feasible, students, trained):
    """One step further where it misses by a little; planned again where the variant dropped out that fitted."""
    measured = tuple(Candidate(proposal=LEVELS[zeros], cost=COST) for zeros in (0.4, 0.6))
    plan = Plan(
        candidates=measured,
        proposal=LEVELS[0.4],
        further=LEVELS[0.45],
        feasible=feasible,
        variants=("int8",),
        why="measured",
    )
    simulated = Students(students)
    monkeypatch.setattr(finishing, "_made", simulated.made)
    monkeypatch.setattr(finishing.Searching, "plan_again", again)
    candidates = SimpleNamespace(
        pruner=SimpleNamespace(run=SimpleNamespace(progress=Silent())),
        goal=SimpleNamespace(device=object()),
        counting=Counting,
        original=SimpleNamespace(deployed=SimpleNamespace(variants=frozenset({"fp32", "int8"}))),
    )
    finished = finish(RECIPE, None, None, candidates, plan)
    assert simulated.trained == trained
    assert finished.plan.structure.zeros == trained[-1]
