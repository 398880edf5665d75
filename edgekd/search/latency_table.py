"""Widths of each layer and depth by a table of measured times: of all structures that are predicted to meet the budget
the one of the least loss, measured as a whole before it is taken.

1. Untrained networks of random structure are timed on the device; `_table` learns from them what any structure takes.
2. `_curves` says what each width and each block costs in loss; `_programme` finds the least loss within a time.
3. Whole candidates are measured, and the time that is aimed at is corrected by what they miss the budget by.
4. At that time `_improving` looks for structures of less loss as a whole; the best that measurably fits is the plan.

The method follows MDP (arXiv 2504.02168) in what it chooses, and SPDY (arXiv 2201.13096) in how it searches.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from edgekd.pruning.space import Space
from edgekd.search import uniform
from edgekd.search._base import WHOLE, Candidates, Question
from edgekd.search._choices import Choices, Losses, choices_of
from edgekd.search._curves import curves, total
from edgekd.search._improving import Judged, improved
from edgekd.search._levels import Levels
from edgekd.search._levels import Options as LevelOptions
from edgekd.search._random import structures
from edgekd.search._table import Table, learned
from edgekd.values import Candidate, Keep, Plan, PositiveInt, Proposal, Structure, Value
from edgekd.values.plan import LatencyTable, Staircase, Structured

__all__ = ["Options", "check", "find", "trials"]

_FEWEST = 8
"""Networks without which nothing is learned."""
_TYPICAL, _WORST = 0.10, 0.35
"""Errors of predictions above which a table is of no use."""
_MEASURED = 5
"""Whole candidates that are measured to find the time to aim at."""
_BELOW = 0.999
"""Of the predicted time of a candidate that was too slow."""
_FINALISTS = 3
_CLEARLY = 0.98
"""Times another latency: what is clearly faster on a shared machine."""
_STEP = 0.95
"""Of the time, for the plan's next smaller structure."""


class Options(Value):
    """How the table is made."""

    networks: PositiveInt = 12
    """Of random structure that are timed. For MobileNetV1, 8 predicted as well as 16."""


def check(question: Question) -> None:
    """As `uniform`: single weights don't make a network faster."""
    uniform.check(question)


def trials(question: Question, space: Space) -> tuple[Proposal, ...]:
    """The least and the most pruned, and one without the first block that can go."""
    first = [Proposal(structure=Structure(removed=space.removable[:1]), what="1 block")] if space.removable else []
    return (*uniform.trials(question, space), *first)


def find(question: Question, candidates: Candidates) -> Plan:
    """Plans by a table; by `uniform`'s bisection of whole networks where there is no useful table, and says why."""
    if question.granularity != "channels" or question.settings.keep != Keep() or not question.has_device:
        return uniform.find(replace(question, options=LevelOptions()), candidates)
    search = _Search(question, candidates)
    unpruned = search.measure(WHOLE)
    if fitting := unpruned.fits(question.variants):
        why = f"the unpruned network meets the budget in {' and '.join(fitting)}"
        return Plan(proposal=WHOLE, feasible=True, variants=fitting, candidates=search.measured, why=why)
    table, why = search.table(unpruned)
    if table and (losses := curves(choices := choices_of(table), candidates)):
        if plan := search.plan(unpruned, choices, losses):
            return plan
        why = (
            f"by a table nothing meets the budget: the smallest structure was predicted to take "
            f"{table.latency(choices.smallest):.2f} of the reference's latency"
        )
    elif table:
        why = "the unpruned network's loss on training images isn't finite, or there are none"
    plan = uniform.find(replace(question, options=LevelOptions(), seen=search.measured), candidates)
    plan = plan.model_copy(update={"why": f"{why}; so one ratio was searched for all layers: {plan.why}"})
    return plan if plan.feasible else _with_fastest(plan, search.measured, question.variants)


@dataclass(frozen=True)
class _Aim:
    """What the structure is chosen by, and the predicted time to aim at."""

    choices: Choices
    losses: Losses
    limit: float


class _Search:
    """One search, with what it has measured."""

    def __init__(self, question: Question, candidates: Candidates) -> None:
        self._question, self._candidates = question, candidates
        self._known = {_key(one.proposal.structure): one for one in question.seen}

    @property
    def measured(self) -> tuple[Candidate, ...]:
        """All candidates that were measured, the largest first."""
        return tuple(sorted(self._known.values(), key=lambda one: -one.cost.macs))

    def measure(self, proposal: Proposal, predicted: float | None = None) -> Candidate:
        """A candidate, measured once."""
        key = _key(proposal.structure)
        if key not in self._known:
            found = self._candidates.measure(proposal)
            self._known[key] = found.model_copy(update={"predicted": predicted})
        return self._known[key]

    def table(self, unpruned: Candidate) -> tuple[Table | None, str]:
        """That of the variant in which the unpruned network is nearest to the budget, if it predicts well enough; why
        there is none.
        """
        counted = [each for each in unpruned.latencies if each.variant in self._question.variants]
        nearest = min(counted, key=lambda one: math.inf if one.of_limit is None else one.of_limit, default=None)
        if nearest is None:
            return None, "no variant's latency could be measured"
        if nearest.of_limit is None:
            return None, "the budget doesn't limit the latency"
        space, count = self._candidates.space, self._question.options.networks
        whole = self._candidates.traced((Structure(),), nearest.variant)
        if not any(network.layers for network in whole):
            return None, f"{nearest.variant} doesn't report the times of its layers"
        networks = (*whole, *self._candidates.traced(structures(space, count)[1:], nearest.variant))
        if len(networks) < _FEWEST:
            return None, f"only {len(networks)} networks of other widths could be timed"
        table = learned(space, networks)
        if table.typical_error <= _TYPICAL and table.worst_error <= _WORST:
            return table, ""
        errors = f"{table.typical_error:.1%} at the median and {table.worst_error:.1%} at worst"
        return None, f"a table for {table.variant} is too inexact: it is wrong by {errors}"

    def plan(self, unpruned: Candidate, choices: Choices, losses: Losses) -> Plan | None:
        """The structure, as measured; None if none of those that were measured meets the budget."""
        over = self._over(unpruned, choices.table.variant)
        aim = _Aim(choices, losses, choices.table.latency(Structure()) / max(1.0, over))
        first, limit = self._nearest(aim)
        if first is None:
            return None
        aim = replace(aim, limit=limit)
        same = self._uniform(choices.table, limit)
        best = improved(choices, losses, limit, self._candidates, others=[same] if same else [])
        chosen = self._finalist(aim, best) or first
        return self._planned(aim, chosen, best)

    def _nearest(self, aim: _Aim) -> tuple[Candidate | None, float]:
        """A measured candidate that fits, the one of the least loss, and the predicted time that is allowed as the
        measured candidates say; no candidate if none fits.
        """
        table, limit, fitting, too_slow = aim.choices.table, aim.limit, list[Candidate](), math.inf
        for _ in range(_MEASURED):
            structure = aim.choices.best(aim.losses, limit) or aim.choices.smallest
            if structure.is_whole:
                break
            predicted, is_new = table.latency(structure), _key(structure) not in self._known
            found = self.measure(_proposal(structure, table), predicted)
            if found.fits(self._question.variants):
                fitting.append(found)
                limit = predicted / self._over(found, table.variant)
            else:
                too_slow = min(too_slow, predicted)
                # a limit other than the latency may be missed
                limit = predicted / max(1 / _STEP, self._over(found, table.variant))
            limit = min(limit, _BELOW * too_slow)
            if not is_new:
                break
        losses = {
            _key(each.proposal.structure): total(aim.losses, aim.choices, each.proposal.structure) for each in fitting
        }
        return min(fitting, key=lambda one: losses[_key(one.proposal.structure)], default=None), limit

    def _over(self, candidate: Candidate, variant: str) -> float:
        """What the least variant takes of what is allowed."""
        counted = [each for each in candidate.latencies if each.variant in self._question.variants]
        found = [each.of_limit for each in counted if each.variant == variant] or [each.of_limit for each in counted]
        return min((over for over in found if over is not None), default=1.0)

    def _finalist(self, aim: _Aim, best: Sequence[Judged]) -> Candidate | None:
        """Of the best, the first that measurably fits."""
        table = aim.choices.table
        for judged in best[:_FINALISTS]:
            proposal = _proposal(judged.structure, table)
            found = self.measure(proposal, table.latency(judged.structure))
            if found.fits(self._question.variants):
                return found
        return None

    def _planned(self, aim: _Aim, chosen: Candidate, best: Sequence[Judged]) -> Plan:
        table, structure = aim.choices.table, chosen.proposal.structure
        loss = next((one.loss for one in best if one.structure == structure), None)
        smaller = aim.choices.best(aim.losses, _STEP * table.latency(structure))
        variants = chosen.fits(self._question.variants)
        rank = next((number for number, one in enumerate(best) if one.structure == structure), None)
        least = "the least loss of those that measurably fit" if rank else "the least loss"
        why = f"of {len(best)} structures predicted to be as fast it has {least}"
        if rank is None:
            why = "it has the least sum of losses of layers; what has less loss as a whole measurably doesn't fit"
        return Plan(
            proposal=chosen.proposal,
            feasible=True,
            variants=variants,
            candidates=self.measured,
            table=self._record(aim, structure, loss),
            further=_proposal(smaller, table) if smaller and not smaller.is_whole else None,
            why=f"{why}; it was measured to meet the budget in {' and '.join(variants)}",
        )

    def _record(self, aim: _Aim, structure: Structure, loss: float | None) -> LatencyTable:
        table, choices = aim.choices.table, aim.choices
        widths = table.widths(structure)
        uniform_one = self._uniform(table, table.latency(structure))
        (whole, *others) = self._candidates.losses([Structure(), *([uniform_one] if uniform_one else [])])
        return LatencyTable(
            variant=table.variant,
            networks=self._question.options.networks,
            typical_error=table.typical_error,
            worst_error=table.worst_error,
            unpruned=Structured(structure=Structure(), latency=table.latency(Structure()), loss=whole),
            chosen=Structured(structure=structure, latency=table.latency(structure), loss=loss),
            uniform=Structured(structure=uniform_one, latency=table.latency(uniform_one), loss=others[0])
            if uniform_one
            else None,
            staircases=tuple(
                Staircase(
                    root=group.root,
                    width=group.width,
                    chosen=0 if _gone(group.root, structure) else widths[group.root],
                    latencies={w: table.latency(Structure(widths={group.root: w})) for w in choices.widths[group.root]},
                )
                for group in table.space.groups
            ),
        )

    def _uniform(self, table: Table, latency: float) -> Structure | None:
        """The least pruned in the same ratio of every layer that is predicted to be as fast."""
        levels = Levels("channels", table.space, LevelOptions(), self._candidates.scores).all()
        fast = (level.structure for level in levels if table.latency(level.structure) <= latency)
        return next((structure for structure in fast if not structure.is_whole), None)


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


def _gone(root: str, structure: Structure) -> bool:
    return any(root.startswith(f"{block}.") for block in structure.removed)


def _proposal(structure: Structure, table: Table) -> Proposal:
    widths = table.widths(structure)
    own = {group.root: group.width for group in table.space.groups}
    narrower = sum(structure.widths.get(root, width) < width for root, width in own.items())
    channels = 1 - sum(widths[root] for root in own if not _gone(root, structure)) / sum(own.values())
    parts = [f"{channels:.0%} of the channels, in {narrower} of {len(own)} groups"] if narrower else []
    parts += [f"{len(structure.removed)} of {len(table.space.blocks)} blocks"] if structure.removed else []
    return Proposal(structure=structure, what=" and ".join(parts) or WHOLE.what)


def _key(structure: Structure) -> str:
    return structure.model_dump_json()
