"""Finish: the planned student is trained, deployed and measured, and planned again where its plan turns out wrong."""

from dataclasses import dataclass, replace

from edgekd.deploy.writers._base import first_rounding
from edgekd.pipeline.again import dropped_out, further, gone
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.deploy import Contest, deploy
from edgekd.pipeline.recovery import Recovery
from edgekd.pipeline.search import Searching, learns_unpruned
from edgekd.pipeline.selection import Selection, measured_and_selected
from edgekd.pipeline.sparing import Sparing, Student
from edgekd.pipeline.student import Teaching, make_student
from edgekd.training.supervision import Supervision
from edgekd.values import Plan, Recipe
from edgekd.values.network import Network
from edgekd.values.result import Brought, Recovered


@dataclass(frozen=True)
class Finished:
    """A trained student, and what was chosen of it."""

    plan: Plan
    network: Network
    """That of the chosen artifact."""
    selection: Selection
    recovered: tuple[Recovered, ...] = ()
    """What became of INT8 variants that lost too much accuracy."""
    brought: tuple[Brought, ...] = ()
    """What each step brought; nothing where no step was taken."""
    stepped: Network | None = None
    """The student after the recipe's steps, before INT8 variants were recovered; None: the chosen artifact's."""


def finish(
    recipe: Recipe, teacher: Network, supervision: Supervision, candidates: NetworkCandidates, plan: Plan
) -> Finished:
    """Train what was planned; and what is planned again where a variant that the plan counted on drops out, or where
    the student misses the latency by a little.

    Args:
        recipe: its steps make the student.
        teacher: the original network, which is also the student where nothing is pruned or trained.
        supervision: who teaches.
        candidates: of the network that the student begins as.
        plan: the first one.
    """
    progress, searching = candidates.pruner.run.progress, Searching(recipe, candidates.goal.device is not None)
    left, stepped = candidates.original.deployed.variants, False
    while True:
        finished = _made(recipe, teacher, supervision, candidates, plan)
        again: Plan | None = None
        if out := gone(plan, finished.selection):
            left = left - {*out}
            now = candidates.counting(left)
            seen = [one for one in plan.candidates if now.has_all(one)]
            again = searching.plan_again(now, seen, variants=left, why=dropped_out(out, finished.selection))
            if not again.feasible:
                # a student of another structure wouldn't meet it either
                progress.note(f"plan: {again.why}")
                return replace(finished, plan=again.model_copy(update={"proposal": plan.proposal}))
        elif not stepped:
            again, stepped = further(plan, finished.selection), True
        if again is None:
            return finished
        progress.note(f"plan: remove {again.proposal.what}: {again.why}")
        plan = again


def _made(
    recipe: Recipe, teacher: Network, supervision: Supervision, candidates: NetworkCandidates, plan: Plan
) -> Finished:
    """The student of the plan's structure: every step taken, deployed, measured, one artifact chosen."""
    pruner, goal, original = candidates.pruner, candidates.goal, candidates.original
    teaching = Teaching(recipe, supervision, pruner, first_rounding(candidates.how.variants))
    brought: tuple[Brought, ...] = ()
    if plan.structure.is_whole and not learns_unpruned(recipe):
        name, network, deployed = "baseline", teacher, original.deployed
    else:
        made = make_student(teaching, candidates.network, plan.structure)
        name, network, brought = "student", made.network, made.brought
        deployed = deploy(pruner.run, name, network, candidates.how, Contest(goal, original.reference))
    selection = measured_and_selected(pruner.run, goal, original.reference, deployed)
    recovery = Recovery(teaching, Sparing(pruner.run, goal, candidates.how), original.reference)
    student = recovery.recovered(Student(name, network, deployed, selection))
    if student.chosen != network:
        brought = (*brought, _retrained(student.chosen))
    return Finished(plan, student.chosen, student.selection, student.recovered, brought, network)


def _retrained(network: Network) -> Brought:
    """What the training with simulated INT8 brought that recovered the chosen variant."""
    assert network.accuracy is not None
    assert network.training is not None
    epochs = network.training.epochs
    what = f"{epochs} epoch{'s' if epochs != 1 else ''} with simulated INT8"
    return Brought(step="qat", what=what, accuracy=network.accuracy)
