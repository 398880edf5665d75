"""Widths of each layer and depth step by step: each step narrows one group of channels, or takes out one block, so that
the network saves a little of its latency, and of all that do, the one of the least loss is taken (NetAdapt: Yang et
al., ECCV 2018, arXiv 1804.03230, algorithm 1).

Latencies come from the table of `latency_table` instead of one measured for each layer, which channels stay is decided
by the recipe's criterion instead of their L2 norm, and proposals are repaired without training where NetAdapt trains
each of them shortly: some hundred trainings take longer than that of the student. Blocks are edgekd's addition.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from edgekd.pruning.space import ChannelGroup
from edgekd.search import latency_table
from edgekd.search._base import Candidates, Question
from edgekd.search._choices import choices_of
from edgekd.search._table import Table
from edgekd.search._tabled import STEP, Tabled, TableOptions, planned
from edgekd.values import Plan, Structure

__all__ = ["Options", "check", "find", "trials"]

_LEAST = 0.001
"""Of a network's latency: steps that would save less aren't tried."""

check, trials = latency_table.check, latency_table.trials


class Options(TableOptions):
    """How large a step is."""

    step: Annotated[float, Field(gt=0, lt=1, strict=True)] = 0.04
    """Of its latency, what the network saves in each step. So steps become smaller by a factor of 0.96 each, as
    NetAdapt's do."""


def find(question: Question, candidates: Candidates) -> Plan:
    """Plans step by step; by `uniform`'s bisection where there is no useful table, and says why."""
    return planned(question, candidates, _by_tables)


def _by_tables(search: Tabled, tables: Sequence[Table]) -> tuple[Plan | None, str]:
    """The largest network on the way that measurably fits; why there is none."""
    (table,) = tables
    choices = choices_of(table)
    steps = _Steps(table, choices.blocks, search.candidates, search.question.options.step)
    fitting, _ = search.nearest(table, lambda limit: steps.within(limit).structure)
    if not fitting:
        last = steps.taken[-1]
        what = f"the network after {len(steps.taken) - 1} steps was predicted to take {last.latency:.2f}"
        return None, f"step by step nothing meets the budget: {what} of the reference's latency"
    chosen = max(fitting, key=lambda one: table.latency(one.proposal.structure))
    number, step = next((n, s) for n, s in enumerate(steps.taken) if s.structure == chosen.proposal.structure)
    further = steps.within(STEP * step.latency)
    smaller = further.structure if further.latency < step.latency else None
    return search.plan(choices, chosen, step.loss, further=smaller, why=f"{number} steps lead to it"), ""


@dataclass(frozen=True)
class _Step:
    """A network on the way."""

    structure: Structure
    latency: float
    """Predicted."""
    loss: float | None


class _Steps:
    """The way from the whole network, as far as it was asked for."""

    def __init__(self, table: Table, blocks: tuple[str, ...], candidates: Candidates, share: float) -> None:
        self._table, self._blocks, self._candidates, self._share = table, blocks, candidates, share
        self.taken = [_Step(Structure(), table.latency(Structure()), None)]

    def within(self, limit: float) -> _Step:
        """The first network that is predicted to take no more; the last one if none is."""
        while self.taken[-1].latency > limit:
            following = self._next(self.taken[-1], limit)
            if following is None:
                break
            self.taken.append(following)
        return next((step for step in self.taken if step.latency <= limit), self.taken[-1])

    def _next(self, now: _Step, limit: float) -> _Step | None:
        """The step of the least loss; where nothing saves as much as a step should, the step is halved."""
        share = self._share
        while share >= _LEAST:
            proposals = tuple(self._proposals(now.structure, max((1 - share) * now.latency, limit)))
            losses = self._candidates.losses(proposals)
            found = [(loss, one) for loss, one in zip(losses, proposals, strict=True) if loss is not None]
            if found:
                loss, structure = min(found, key=lambda each: each[0])
                return _Step(structure, self._table.latency(structure), loss)
            share /= 2
        return None

    def _proposals(self, now: Structure, limit: float) -> Iterator[Structure]:
        """What is predicted to take no more: each group as wide as it can be, and the network without each block."""
        gone = tuple(f"{block}." for block in now.removed)
        for group in self._table.space.groups:
            if not group.root.startswith(gone) and (narrowed := self._narrowed(now, group, limit)):
                yield narrowed
        for block in self._blocks:
            if block not in now.removed and self._table.latency(without := self._without(now, block)) <= limit:
                yield without

    def _narrowed(self, now: Structure, group: ChannelGroup, limit: float) -> Structure | None:
        own = now.widths.get(group.root, group.width)
        widths = ({**now.widths, group.root: width} for width in reversed(group.allowed) if width < own)
        narrower = (Structure(widths=each, removed=now.removed) for each in widths)
        return next((one for one in narrower if self._table.latency(one) <= limit), None)

    def _without(self, now: Structure, block: str) -> Structure:
        """Without the block; what comes in takes the place of what it gave, as wide as the narrower of the two."""
        widths, ends = {**now.widths}, self._table.ends[block]
        if ends and ends[1] in widths:
            widths[ends[0]] = min(widths[ends[1]], widths.get(ends[0], widths[ends[1]]))
        left = {root: width for root, width in widths.items() if not root.startswith(f"{block}.")}
        return Structure(widths=left, removed=tuple(each for each in self._blocks if each in {*now.removed, block}))
