"""What searches by a latency table have in common: the table is learned from networks of random structure, whole
candidates are measured before one is taken, and where a table is of no use one ratio is searched for all layers.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from statistics import median

from edgekd.errors import UnsupportedModelError
from edgekd.search import uniform
from edgekd.search._base import WHOLE, Candidates, Question
from edgekd.search._choices import Choices
from edgekd.search._levels import Options as LevelOptions
from edgekd.search._random import structures
from edgekd.search._recorded import proposal, recorded
from edgekd.search._table import Table, learned
from edgekd.values import Candidate, Keep, Plan, PositiveInt, Proposal, Structure, Value, VariantLatency
from edgekd.values.plan import TracedNetwork

_FEWEST = 8
"""Networks without which nothing is learned."""
_TYPICAL, _WORST = 0.10, 0.35
"""Errors of predictions above which a table is of no use."""
_TICKS = 5.0
"""Of the runtime's clock, that half of the layers take at least. Where they took 3, predictions were wrong by 11 % at
the median, in however many launches networks were timed; where they took 7, by 4 to 6.
"""
_MEASURED = 5
"""Whole candidates that are measured to find the time to aim at."""
_BELOW = 0.999
"""Of the predicted time of a candidate that was too slow."""
_CLEARLY = 0.98
"""Times another latency: what is clearly faster on a shared machine."""
STEP = 0.95
"""Of the time, for the plan's next smaller structure, and where a limit other than the latency is missed."""


class TableOptions(Value):
    """How the table is made."""

    networks: PositiveInt = 12
    """Of random structure that are timed. For MobileNetV1, 8 predicted as well as 16."""


class Tabled:
    """A search by a table, with what it has measured."""

    def __init__(self, question: Question, candidates: Candidates) -> None:
        self.question, self.candidates = question, candidates
        self._known = {_key(one.proposal.structure): one for one in question.seen}

    @property
    def measured(self) -> tuple[Candidate, ...]:
        """All candidates that were measured, the largest first."""
        return tuple(sorted(self._known.values(), key=lambda one: -one.cost.macs))

    @property
    def unpruned(self) -> Candidate:
        """The whole network, measured."""
        return self.measure(Structure())

    def measure(self, structure: Structure, table: Table | None = None) -> Candidate:
        """A candidate, measured once, with what the table predicts of it."""
        key = _key(structure)
        if key not in self._known:
            found = self.candidates.measure(proposal(structure, table) if table else WHOLE)
            predicted = table.latency(structure) if table else None
            self._known[key] = found.model_copy(update={"predicted": predicted})
        return self._known[key]

    def tables(self, most: int) -> tuple[tuple[Table, ...], str]:
        """That of the variant in which the unpruned network is nearest to the budget, and of those that compute in the
        other way, in integers or in floats, that of the nearest, if they predict well enough; why there is none.

        Integers may save much in wide layers and nothing in narrow ones.

        Args:
            most: tables that are made.
        """
        counted = [each for each in self.unpruned.latencies if each.variant in self.question.variants]
        if not counted:
            return (), "no variant's latency could be measured"
        limited = [(each.of_limit, each) for each in counted if each.of_limit is not None]
        if not limited:
            return (), "the budget doesn't limit the latency"
        ways: dict[bool, VariantLatency] = {}
        for _, each in sorted(limited, key=lambda one: one[0]):
            ways.setdefault(each.variant in self.candidates.integers, each)
        found = [self._table(each) for each in [*ways.values()][:most]]
        return tuple(table for table, _ in found if table), "; ".join(why for _, why in found if why)

    def _table(self, variant: VariantLatency) -> tuple[Table | None, str]:
        """That of a variant if it predicts well enough; why there is none."""
        space, count = self.candidates.space, self.question.options.networks
        whole = self.candidates.traced((Structure(),), variant.variant)
        if why := _why_untimed(whole, variant):
            return None, why
        networks = (*whole, *self.candidates.traced(structures(space, count)[1:], variant.variant))
        if len(networks) < _FEWEST:
            return None, f"only {len(networks)} networks of other widths could be timed in {variant.variant}"
        # a sibling that is made sooner may have been timed in its place
        table = replace(learned(space, networks), variant=variant.variant)
        if table.typical_error <= _TYPICAL and table.worst_error <= _WORST:
            return table, ""
        errors = f"{table.typical_error:.1%} at the median and {table.worst_error:.1%} at worst"
        return None, f"a table for {table.variant} is too inexact: it is wrong by {errors}"

    def limit(self, table: Table) -> float:
        """The predicted time that is allowed, as the unpruned network says."""
        return table.latency(Structure()) / max(1.0, self._over(self.unpruned, table))

    def nearest(self, table: Table, propose: Callable[[float], Structure]) -> tuple[tuple[Candidate, ...], float]:
        """Measured candidates that fit, and the predicted time that is allowed as all that were measured say.

        Args:
            table: predicts.
            propose: the structure to take where no more than a time is predicted.
        """
        limit = self.limit(table)
        fitting, too_slow, proposed = list[Candidate](), math.inf, set[str]()
        for _ in range(_MEASURED):
            structure = propose(limit)
            if structure.is_whole or _key(structure) in proposed:
                break
            proposed.add(_key(structure))
            predicted, found = table.latency(structure), self.measure(structure, table)
            if found.fits(self.question.variants):
                fitting.append(found)
                limit = predicted / self._over(found, table)
            else:
                too_slow = min(too_slow, predicted)
                # a limit other than the latency may be missed
                limit = min(STEP * predicted, self.allowed(found, table))
            limit = min(limit, _BELOW * too_slow)
        return tuple(fitting), limit

    def allowed(self, too_slow: Candidate, table: Table) -> float:
        """The predicted time that is allowed as this one says, which doesn't fit."""
        predicted = table.latency(too_slow.proposal.structure)
        return min(_BELOW * predicted, predicted / self._over(too_slow, table))

    def _over(self, candidate: Candidate, table: Table) -> float:
        """What the table's variant takes of what is allowed; where it wasn't measured, the least that computes in the
        same way, in integers or in floats.
        """
        counted = [each for each in candidate.latencies if each.variant in self.question.variants]
        own = [each.of_limit for each in counted if each.variant == table.variant]
        integers = self.candidates.integers
        alike = [each.of_limit for each in counted if (each.variant in integers) == (table.variant in integers)]
        return min((over for over in own or alike if over is not None), default=1.0)

    def plan(
        self, choices: Choices, chosen: Candidate, loss: float | None, *, further: Structure | None, why: str
    ) -> Plan:
        """The plan of a candidate that fits.

        Args:
            choices: of the table.
            chosen: the candidate.
            loss: the candidate's as a whole; None: not known.
            further: the next smaller structure.
            why: it was chosen.
        """
        table, structure = choices.table, chosen.proposal.structure
        variants = chosen.fits(self.question.variants)
        return Plan(
            proposal=chosen.proposal,
            feasible=True,
            variants=variants,
            candidates=tuple(_predicted(one, table) for one in self.measured),
            table=recorded(choices, structure, loss, self.candidates),
            further=proposal(further, table) if further and not further.is_whole else None,
            why=f"{why}; it was measured to meet the budget in {' and '.join(variants)}",
        )


def _predicted(candidate: Candidate, table: Table) -> Candidate:
    """With what the plan's table predicts of it, whichever it was proposed by."""
    structure = candidate.proposal.structure
    return candidate.model_copy(update={"predicted": None if structure.is_whole else table.latency(structure)})


def _why_untimed(whole: Sequence[TracedNetwork], variant: VariantLatency) -> str:
    """Why layers of that variant can't be timed, as the unpruned network says; empty if they can."""
    layers = [latency for network in whole for latency in network.layers.values()]
    if not layers:
        return f"{variant.variant} doesn't report the times of its layers"
    typical_us = 1e3 * median(layers) * variant.median_ms / variant.ratio.estimate
    clock_us = max(network.clock_us for network in whole)
    if typical_us >= _TICKS * clock_us:
        return ""
    short = f"{typical_us:.1f} µs at the median, too short for a clock of {clock_us:g} µs"
    return f"the layers of {variant.variant} take {short}"


def planned(
    question: Question,
    candidates: Candidates,
    by_tables: Callable[[Tabled, Sequence[Table]], tuple[Plan | None, str]],
    *,
    most: int = 1,
    why_not: str = "",
) -> Plan:
    """Plans by a table; by `uniform`'s bisection of whole networks where there is no useful table, and says why.

    Args:
        question: whose options are a `TableOptions`.
        candidates: of the network.
        by_tables: a plan that meets the budget, or why there is none.
        most: tables that are made.
        why_not: why there is to be no table; empty: nothing speaks against one.
    """
    if question.granularity != "channels" or question.settings.keep != Keep() or not question.has_device:
        return uniform.find(replace(question, options=LevelOptions()), candidates)
    search = Tabled(question, candidates)
    in_levels = replace(question, options=LevelOptions())
    if fitting := search.unpruned.fits(question.variants):
        return _unpruned(search, fitting, in_levels)
    try:
        plan, why = (None, why_not) if why_not else _tabled(search, by_tables, most)
    except UnsupportedModelError as e:  # such as a process that prunes and ran out of memory
        plan, why = None, e.message
    if plan:
        return plan
    plan = uniform.find(replace(in_levels, seen=search.measured), candidates)
    plan = plan.model_copy(update={"why": f"{why}; so one ratio was searched for all layers: {plan.why}"})
    return plan if plan.feasible else _with_fastest(plan, search.measured, question.variants)


def _unpruned(search: Tabled, fitting: tuple[str, ...], question: Question) -> Plan:
    """The plan of the unpruned network, with what is to be tried where it turns out to be too slow after all."""
    try:
        smaller: Sequence[Proposal] = uniform.levels_of(question, search.candidates)[1:]
    except UnsupportedModelError:  # nothing may have to be pruned
        smaller = ()
    return Plan(
        proposal=WHOLE,
        feasible=True,
        variants=fitting,
        candidates=search.measured,
        further=next(iter(smaller), None),
        why=f"the unpruned network meets the budget in {' and '.join(fitting)}",
    )


def _tabled(
    search: Tabled, by_tables: Callable[[Tabled, Sequence[Table]], tuple[Plan | None, str]], most: int
) -> tuple[Plan | None, str]:
    """The plan by at most so many tables, or why there is none."""
    tables, why = search.tables(most)
    return by_tables(search, tables) if tables else (None, why)


def _with_fastest(plan: Plan, measured: Sequence[Candidate], variants: Collection[str]) -> Plan:
    """A plan that doesn't meet the budget, with the fastest of what was measured for it and before."""
    known = {_key(one.proposal.structure): one for one in (*measured, *plan.candidates)}
    every = tuple(sorted(known.values(), key=lambda one: -one.cost.macs))
    best = min(every, key=lambda one: one.fastest(variants))
    planned = known[_key(plan.structure)]
    if best.fastest(variants) > _CLEARLY * planned.fastest(variants):
        return plan.model_copy(update={"candidates": every})
    why = f"{plan.why}; {best.fastest(variants):.2f} without {best.proposal.what}"
    return plan.model_copy(update={"proposal": best.proposal, "candidates": every, "why": why})


def _key(structure: Structure) -> str:
    return structure.model_dump_json()
