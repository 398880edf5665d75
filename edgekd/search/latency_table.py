"""Widths of each layer and depth by a table of measured times: of all structures that are predicted to meet the budget
the one of the least loss, measured as a whole before it is taken.

1. Untrained networks of random structure are timed on the device; `_table` learns from them what any structure takes,
   in floats and in integers. The one that promises the least loss is gone on with.
2. `_curves` says what each width and each block costs in loss; `_programme` finds the least loss within a time.
3. Whole candidates are measured, and the time that is aimed at is corrected by what they miss the budget by.
4. Within it `_improving` looks for structures of less loss as a whole; the best that measurably fits is the plan.

The method follows MDP (arXiv 2504.02168) in what it chooses, and SPDY (arXiv 2201.13096) in how it searches.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.pruning.space import Space
from edgekd.search import uniform
from edgekd.search._base import Candidates, Question
from edgekd.search._choices import Choices, Losses, choices_of
from edgekd.search._curves import curves, single_choices, total
from edgekd.search._improving import Judged, improved, narrower
from edgekd.search._recorded import uniform_one
from edgekd.search._table import Table
from edgekd.search._tabled import STEP, Tabled, TableOptions, planned
from edgekd.values import Candidate, Plan, PositiveInt, Proposal

__all__ = ["Options", "check", "find", "trials"]

_TABLES = 2
"""One of floats and one of integers."""
_FINALISTS = 4
_FEWEST = 16
"""Whole structures without which nothing is searched by default."""


class Options(TableOptions):
    """How long is searched."""

    structures: PositiveInt = 128
    """Whole ones that are judged by their loss, at most, besides those that tell what each choice costs alone."""


def check(question: Question) -> None:
    """As `uniform`: single weights don't make a network faster."""
    uniform.check(question)


def trials(question: Question, space: Space) -> tuple[Proposal, ...]:
    """As `uniform`, which takes its place where more can't be done."""
    return uniform.trials(question, space)


def find(question: Question, candidates: Candidates) -> Plan:
    """Plans by a table; by `uniform`'s bisection of whole networks where there is no useful table, or where searching
    would take longer than the training, and says why.
    """
    is_short = _affordable(question, candidates) < min(_FEWEST, question.options.structures)
    why_not = "the training is so short that searching a width for each layer would take longer" if is_short else ""
    return planned(question, candidates, _by_tables, most=_TABLES, why_not=why_not)


def _affordable(question: Question, candidates: Candidates) -> float:
    """How many whole structures can be judged so that trying all that is tried takes no longer than the training."""
    if question.epochs is None or not candidates.space.groups:
        return math.inf
    return question.epochs // candidates.epochs_a_structure - single_choices(candidates.space)


@dataclass(frozen=True)
class _Problem:
    """What is chosen from by one table, and what each choice costs."""

    choices: Choices
    losses: Losses
    rise: float
    """The least sum of losses that is predicted to be allowed; infinite where nothing is."""

    @property
    def table(self) -> Table:
        """The one that predicts."""
        return self.choices.table


def _by_tables(search: Tabled, tables: Sequence[Table]) -> tuple[Plan | None, str]:
    """The structure by the table that promises the least loss, as measured; by the next one where none of those that
    were measured meets the budget; why there is none.
    """
    problems, reasons = [_problem(search, table) for table in tables], list[str]()
    known = [problem for problem in problems if problem is not None]
    if not known:
        return None, "the unpruned network's loss on training images isn't finite, or there are none"
    for problem in sorted(known, key=lambda one: one.rise):
        plan, why = _by_table(search, problem)
        if plan:
            return plan.model_copy(update={"why": f"{plan.why}{_beside(problem, known)}"}), ""
        reasons.append(why)
    return None, "; ".join(reasons)


def _problem(search: Tabled, table: Table) -> _Problem | None:
    choices = choices_of(table)
    losses = curves(choices, search.candidates)
    if losses is None:
        return None
    structure = choices.best(losses, search.limit(table))
    return _Problem(choices, losses, math.inf if structure is None else total(losses, choices, structure))


def _beside(chosen: _Problem, known: Sequence[_Problem]) -> str:
    """What the other tables promised."""
    others = [one for one in known if one is not chosen]
    rises = [f"{one.rise:.3g} by that of {one.table.variant}" for one in others if one.rise < math.inf]
    if not rises or chosen.rise == math.inf:
        return ""
    by_this = f"by the table of {chosen.table.variant} the layers' losses add up to {chosen.rise:.3g}"
    return f"; {by_this}, to {' and '.join(rises)}"


def _by_table(search: Tabled, problem: _Problem) -> tuple[Plan | None, str]:
    choices, losses, table = problem.choices, problem.losses, problem.table
    fitting, limit = search.nearest(table, lambda limit: choices.best(losses, limit) or choices.smallest)
    if not fitting:
        smallest = table.latency(choices.smallest)
        what = f"in {table.variant} the smallest structure was predicted to take {smallest:.2f}"
        return None, f"by a table nothing meets the budget: {what} of the reference's latency"
    first = min(fitting, key=lambda one: total(losses, choices, one.proposal.structure))
    same = uniform_one(table, limit, search.candidates)
    others = [*(one.proposal.structure for one in fitting), *([same] if same else [])]
    most = int(min(search.question.options.structures, _affordable(search.question, search.candidates)))
    best = improved(choices, losses, limit, search.candidates, others=others, most=most)
    chosen = _chosen(search, table, best, fitting) or first
    structure = chosen.proposal.structure
    rank = next((number for number, one in enumerate(best) if one.structure == structure), None)
    smaller = choices.best(narrower(choices, losses, structure), STEP * table.latency(structure))
    loss = None if rank is None else best[rank].loss
    return search.plan(choices, chosen, loss, further=smaller, why=_why(best, rank)), ""


def _chosen(search: Tabled, table: Table, best: Sequence[Judged], fitting: Sequence[Candidate]) -> Candidate | None:
    """Of the best, the first that measurably fits, as some are known to: where one is too slow, others that are
    predicted to take as long would be as well.
    """
    known, limit = [one.proposal.structure for one in fitting], math.inf
    for _ in range(_FINALISTS):
        judged = next((one for one in best if one.structure in known or table.latency(one.structure) <= limit), None)
        if judged is None:
            return None
        found = search.measure(judged.structure, table)
        if found.fits(search.question.variants):
            return found
        limit = min(limit, search.allowed(found, table))
    left = (one for one in best if one.structure in known)
    return next((search.measure(one.structure, table) for one in left), None)


def _why(best: Sequence[Judged], rank: int | None) -> str:
    if rank is None:
        return "it has the least sum of losses of layers; structures with less loss were measured and are too slow"
    least = "the least loss of those that measurably fit" if rank else "the least loss"
    return f"of {len(best)} structures predicted to be as fast it has {least}"
