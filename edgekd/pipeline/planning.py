"""Planning: how much is taken out of the network, found by the recipe's search."""

from collections.abc import Collection
from dataclasses import replace

from pydantic import ValidationError

from edgekd import catalog
from edgekd.errors import EdgekdError
from edgekd.pipeline.job import Job
from edgekd.pruning.chosen import criterion_of
from edgekd.search._base import SEARCHES, WHOLE, Bench, Question, Search
from edgekd.steps._read import has_pruning
from edgekd.values import Plan, Recipe


def learns_unpruned(recipe: Recipe) -> bool:
    """Whether the recipe has a student that differs from the teacher even where nothing is pruned."""
    return recipe.student is not None or not has_pruning(recipe)


def search_of(recipe: Recipe) -> Search:
    """The recipe's search.

    Raises:
        EdgekdError: there is none of that name, or it takes no ratio or structure.
    """
    stated = _is_stated(recipe)
    name = recipe.search.method or ("fixed" if stated else "uniform")
    if stated and name != "fixed":
        what = f"search.method = {name!r} finds out how much goes, and the recipe states it"
        raise EdgekdError(what, "Remove search.ratio and search.structure, or search.method.")
    return catalog.load(SEARCHES, name)


def question_of(job: Job, variants: Collection[str] = ()) -> Question:
    """What is asked of the search; raises EdgekdError if it, or the criterion, has no such option."""
    settings, search = job.recipe.search, search_of(job.recipe)
    criterion, _ = criterion_of(job.recipe.prune.criterion, job.recipe.prune.options)
    try:
        options = search.Options.model_validate(settings.options)
    except ValidationError as e:
        raise EdgekdError(*catalog.explain(e, "search.options", search.Options)) from e
    return Question(
        granularity=criterion.SCORES,
        settings=settings,
        options=options,
        fractions=getattr(criterion, "FRACTIONS", ()),
        has_device=job.device is not None,
        variants=frozenset(variants),
    )


def require_plan(job: Job) -> None:
    """Raises EdgekdError if there is no such criterion, search or option, or nothing to plan by."""
    question = question_of(job)
    if _is_stated(job.recipe) or not learns_unpruned(job.recipe):
        search_of(job.recipe).check(question)


def _is_stated(recipe: Recipe) -> bool:
    """Whether the recipe says how much goes."""
    return recipe.search.ratio is not None or recipe.search.structure is not None


def planned(job: Job, bench: Bench, variants: Collection[str]) -> Plan:
    """The structure of the student; raises EdgekdError as the search."""
    if not has_pruning(job.recipe):
        return Plan(proposal=WHOLE, feasible=None, why="no step prunes")
    if job.recipe.student and not _is_stated(job.recipe):
        return Plan(proposal=WHOLE, feasible=None, why="the student is another architecture")
    plan = search_of(job.recipe).find(question_of(job, variants), bench)
    job.progress.note(f"plan: take out {plan.proposal.what}: {plan.why}")
    return plan


def planned_again(job: Job, bench: Bench, plan: Plan, *, variants: Collection[str], why: str) -> Plan:
    """The structure where no more than these variants are left: from what was measured for the first plan, and what
    must be measured besides.

    Args:
        job: as for `planned`.
        bench: as for `planned`.
        plan: the first one.
        variants: that are left.
        why: the others aren't.
    """
    question = replace(question_of(job, variants), seen=plan.candidates)
    again = search_of(job.recipe).find(question, bench)
    return again.model_copy(update={"why": f"{why}; {again.why}"})
