"""Planning: how much is pruned, as was asked for, by what may be left, or by measuring."""

from collections.abc import Collection
from functools import partial
from pathlib import Path

import zstandard

from edgekd.errors import EdgekdError
from edgekd.pipeline.candidates import candidate
from edgekd.pipeline.deploy import Baseline
from edgekd.pipeline.job import Job
from edgekd.pipeline.plan import least_pruned, search
from edgekd.pipeline.students import Students
from edgekd.pruning.options import method_of
from edgekd.steps._read import has_pruning
from edgekd.values import Keep, Recipe
from edgekd.values.network import Network
from edgekd.values.result import Candidate, Plan


def learns_unpruned(recipe: Recipe) -> bool:
    """Whether the recipe has a student that differs from the teacher even where nothing is pruned."""
    return recipe.student is not None or not has_pruning(recipe)


def require_plan(job: Job) -> None:
    """Raises EdgekdError if there is no such method or option, or nothing to plan by."""
    settings = job.recipe.prune
    method_of(settings.method, settings.options)
    if settings.ratio is not None or learns_unpruned(job.recipe):
        return
    if settings.method == "weights" and settings.keep == Keep():
        what = "pruning single weights doesn't make a network faster, so there is no latency to plan by"
        raise EdgekdError(what, "Say how much goes: --ratio 0.8, or keep = {parameters = 0.2} in the recipe's [prune].")


def planned(job: Job, students: Students, teacher: Network, baseline: Baseline) -> Plan:
    """How much to prune: as asked, else by what may be left, else as measured, else nothing.

    Raises:
        EdgekdError: the most pruned student still has more than the recipe keeps.
    """
    asked = job.recipe.prune.ratio
    if asked is not None:
        return Plan(levels=(asked,), candidates=(), ratio=asked, feasible=None, why=f"{asked:.0%} was asked for")
    if learns_unpruned(job.recipe):
        why = "the student is another architecture" if job.recipe.student else "no step prunes"
        return Plan(levels=(0.0,), candidates=(), ratio=0.0, feasible=None, why=why)
    if job.recipe.prune.keep != Keep():
        plan = _by_what_is_left(job.recipe.prune.keep, students, teacher)
    elif job.device is None:
        why = "there is no device to plan by; --ratio prunes without one"
        return Plan(levels=(0.0,), candidates=(), ratio=0.0, feasible=None, why=why)
    else:
        levels, measure = students.levels(), partial(_candidate, job, students, baseline)
        plan = search(levels, measure, baseline.deployed.variants)
    job.progress.note(f"plan: prune {plan.ratio:.0%}: {plan.why}")
    return plan


def planned_again(
    job: Job, students: Students, baseline: Baseline, plan: Plan, *, precisions: Collection[str], why: str
) -> Plan:
    """How much to prune where no more than these precisions are left: from what was measured for the first plan, and
    what must be measured besides.

    Args:
        job: as for `planned`.
        students: as for `planned`.
        baseline: as for `planned`.
        plan: the first one.
        precisions: that are left.
        why: the others aren't.
    """
    again = search(plan.levels, partial(_candidate, job, students, baseline), precisions, seen=plan.candidates)
    return again.model_copy(update={"why": f"{why}; {again.why}"})


def _candidate(job: Job, students: Students, baseline: Baseline, ratio: float) -> Candidate:
    return candidate(job, students, ratio, baseline)


def _by_what_is_left(keep: Keep, students: Students, teacher: Network) -> Plan:
    limits = {name: limit for name, limit in keep if limit is not None}

    def fits(ratio: float) -> bool:
        student = students.at(ratio)
        parameters = student.cost.nonzero / teacher.cost.parameters
        left = {"parameters": parameters, "macs": student.cost.macs / teacher.cost.macs}
        if keep.transfer_bytes is not None:
            left["transfer_bytes"] = _compressed_bytes(student.weights.path) / _compressed_bytes(teacher.weights.path)
        return all(left[name] <= limit for name, limit in limits.items())

    what = ", ".join(f"{limit:.0%} of its {name.replace('_', ' ')}" for name, limit in limits.items())
    return least_pruned(students.levels(), fits, what)


def _compressed_bytes(file: Path) -> int:
    return len(zstandard.compress(file.read_bytes()))
