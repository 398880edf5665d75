"""One ratio for the whole network, bisected: the least pruned candidate that meets the budget as measured, or that
leaves no more than `keep` says.

Latency is a step function of the widths, so widths are multiples of the runtime's channel block.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence

from edgekd.errors import EdgekdError
from edgekd.pruning.space import Scores, Space
from edgekd.search._base import WHOLE, Candidates, Question
from edgekd.search._levels import Levels, Options
from edgekd.values import Candidate, Keep, Plan, Proposal, Structure

__all__ = ["Options", "check", "find", "trials"]

_TIE = 1.02
"""Latency ratios this close are the same on a shared machine; the larger network is then the better one."""


def check(question: Question) -> None:
    """Raises EdgekdError if single weights are pruned and no amount is given: latency can't determine it."""
    if question.granularity == "weights" and question.settings.keep == Keep():
        what = "pruning single weights doesn't make a network faster, so there is no latency to plan by"
        hint = "Set the amount: --ratio 0.8, or keep = {parameters = 0.2} in the recipe's [search]."
        raise EdgekdError(what, hint)


def trials(question: Question, space: Space) -> tuple[Proposal, ...]:
    """The least and the most pruned, in the same ratio of every layer."""
    found = Levels(question.granularity, space, Options(), lambda: in_order(space), question.fractions).all()[1:]
    return found[:1] if len(found) == 1 else (*found[:1], *found[-1:])


def in_order(space: Space) -> Scores:
    """Scores by position: the order of blocks doesn't matter for a trial."""
    return Scores(blocks={name: float(i) for i, name in enumerate(space.removable)})


def find(question: Question, candidates: Candidates) -> Plan:
    """Plans by `keep` if it is set, otherwise by measuring; without a device nothing is pruned.

    Raises:
        EdgekdError: the smallest network still exceeds `keep`.
    """
    if question.settings.keep == Keep() and not question.has_device:
        return Plan(proposal=WHOLE, feasible=None, why="there is no device to plan by; --ratio prunes without one")
    levels = levels_of(question, candidates)
    if question.settings.keep != Keep():
        return _by_what_is_left(levels, question.settings.keep, candidates)
    return least_that_fits(levels, candidates.measure, question.variants, seen=question.seen)


def levels_of(question: Question, candidates: Candidates) -> tuple[Proposal, ...]:
    """The structures from which one is taken, the whole network first."""
    return Levels(question.granularity, candidates.space, question.options, candidates.scores, question.fractions).all()


def least_that_fits(
    levels: Sequence[Proposal],
    measure: Callable[[Proposal], Candidate],
    variants: Collection[str],
    *,
    seen: Sequence[Candidate] = (),
) -> Plan:
    """The least pruned candidate that meets the budget, by bisection; the best of those measured if none does.

    Args:
        levels: the whole network first, each smaller than the one before.
        measure: builds and measures a candidate.
        variants: those that count.
        seen: candidates that were measured before.
    """
    known = {_key(candidate.proposal.structure): candidate for candidate in seen}
    keys = [_key(level.structure) for level in levels]

    def fits(index: int) -> bool:
        if keys[index] not in known:
            known[keys[index]] = measure(levels[index])
        return bool(known[keys[index]].fits(variants))

    def plan(index: int, feasible: bool, why: str) -> Plan:
        return Plan(
            proposal=levels[index],
            feasible=feasible,
            variants=known[keys[index]].fits(variants),
            candidates=tuple(known[each] for each in keys if each in known),
            further=levels[index + 1] if feasible and index + 1 < len(levels) else None,
            why=why,
        )

    last = len(levels) - 1
    if fits(0):
        return plan(0, True, f"the unpruned network meets the budget in {' and '.join(known[keys[0]].fits(variants))}")
    # The middle halves the search at once. Where it doesn't fit, the most pruned is the likeliest to, and then one
    # in between may, since below a block's width narrower isn't faster.
    before = [i for i in range(len(levels)) if keys[i] in known]
    high = next((i for i in (*before, *_probes(last)) if fits(i)), None)
    if high is None:
        best = _best({i: known[key].fastest(variants) for i, key in enumerate(keys) if key in known})
        of = f"{known[keys[best]].fastest(variants):.2f} of the reference's latency"
        return plan(best, False, f"no candidate meets the budget; the fastest measured has {of}")
    # what was measured and didn't fit bounds the search from below
    low = max(i for i in range(high) if keys[i] in known)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    less = f"without {levels[low].what}" if low else "unpruned"
    why = f"it is the least pruned that was measured to meet the budget; {less} it doesn't"
    return plan(high, True, why)


def _key(structure: Structure) -> str:
    """The same for equal structures, and for no others."""
    return structure.model_dump_json()


def _by_what_is_left(levels: Sequence[Proposal], keep: Keep, candidates: Candidates) -> Plan:
    """The least pruned of which no more is left, which only falls with the levels; nothing is measured for it."""
    limits = {name: limit for name, limit in keep if limit is not None}
    what = ", ".join(f"{limit:.0%} of its {name.replace('_', ' ')}" for name, limit in limits.items())

    def fits(level: Proposal) -> bool:
        left = candidates.left(level.structure, limits)
        return all(left[name] <= limit for name, limit in limits.items())

    if not fits(levels[-1]):
        message = f"without {levels[-1].what}, the most that can be pruned, it still has more than {what}"
        raise EdgekdError(message, "Raise search.keep, or use another criterion.")
    found = levels[bisect_left(range(len(levels)), True, key=lambda i: fits(levels[i]))]
    return Plan(proposal=found, feasible=None, why=f"it is the least pruned that leaves at most {what}")


def _probes(last: int) -> list[int]:
    """The middle, the most pruned, then points in between, none twice."""
    return list(dict.fromkeys(i for i in (last // 2, last, 2 * last // 3, last // 3) if i > 0))


def _best(latencies: Mapping[int, float]) -> int:
    """The least pruned of the fastest levels."""
    fastest = min(latencies.values())
    return min(level for level, latency in latencies.items() if latency <= fastest * _TIE)
