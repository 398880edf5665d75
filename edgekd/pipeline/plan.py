"""Plan: how much has to go, found by measuring untrained candidates on the device.

Latency depends on the widths, not on the weights, so a candidate is measured in seconds, before anything is trained.
It isn't a line in the multiply-accumulates but a staircase, so the widths are the runtime's own blocks.
"""

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence

from edgekd.errors import EdgekdError
from edgekd.values.result import Candidate, Plan

_TIE = 1.02
"""Latency ratios this close are the same on a shared machine; the larger network is then the better one."""


def search(
    levels: Sequence[float],
    measure: Callable[[float], Candidate],
    precisions: Collection[str],
    *,
    seen: Sequence[Candidate] = (),
) -> Plan:
    """The least pruned candidate that meets the budget, by bisection over the levels.

    Args:
        levels: ratios that give different widths, ascending from 0.
        measure: builds and measures the candidate of one ratio.
        precisions: those that count.
        seen: candidates that were measured before.

    Returns:
        A plan whose ratio is that candidate's, or, where none meets the budget, the best of those measured.
    """
    known = {candidate.ratio: candidate for candidate in seen}

    def fits(index: int) -> bool:
        ratio = levels[index]
        if ratio not in known:
            known[ratio] = measure(ratio)
        return bool(known[ratio].fits(precisions))

    def plan(ratio: float, feasible: bool, why: str) -> Plan:
        return Plan(
            levels=tuple(levels),
            candidates=tuple(known[r] for r in sorted(known)),
            ratio=ratio,
            feasible=feasible,
            precisions=known[ratio].fits(precisions),
            why=why,
        )

    last = len(levels) - 1
    if fits(0):
        found = plan(levels[0], True, "")
        why = f"the unpruned network meets the budget in {' and '.join(found.precisions)}"
        return found.model_copy(update={"why": why})
    # The middle halves the search at once. Where it doesn't fit, the most pruned is the likeliest to, and then one
    # in between may, since below a block's width narrower isn't faster.
    before = [i for i in range(len(levels)) if levels[i] in known]
    high = next((i for i in (*before, *_probes(last)) if fits(i)), None)
    if high is None:
        best = _best(list(known.values()), precisions)
        of = f"{best.fastest(precisions):.2f} of the reference's latency"
        return plan(best.ratio, False, f"no candidate meets the budget; the fastest measured has {of}")
    # what was measured and didn't fit bounds the search from below
    low = max(i for i in range(high) if levels[i] in known)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    why = f"pruning {levels[high]:.0%} is the least measured to meet the budget; {levels[low]:.0%} doesn't"
    return plan(levels[high], True, why)


def least_pruned(levels: Sequence[float], fits: Callable[[float], bool], what: str) -> Plan:
    """The least of the rising levels that fits, for what only falls with them; nothing is measured for it.

    Raises:
        EdgekdError: not even the last one fits.
    """
    if not fits(levels[-1]):
        message = f"pruned by {levels[-1]:.0%}, the most there is, it still has more than {what}"
        raise EdgekdError(message, "Keep more of it, or take another method.")
    ratio = levels[bisect_left(range(len(levels)), True, key=lambda i: fits(levels[i]))]
    why = f"it is the least that leaves at most {what}"
    return Plan(levels=tuple(levels), candidates=(), ratio=ratio, feasible=None, why=why)


def _probes(last: int) -> list[int]:
    """The middle, the most pruned, then points in between, none twice."""
    return list(dict.fromkeys(i for i in (last // 2, last, 2 * last // 3, last // 3) if i > 0))


def _best(candidates: Sequence[Candidate], precisions: Collection[str]) -> Candidate:
    fastest = min(c.fastest(precisions) for c in candidates)
    return min((c for c in candidates if c.fastest(precisions) <= fastest * _TIE), key=lambda c: c.ratio)
