"""Plan: how much has to go, found by measuring untrained candidates on the device.

Latency depends on the widths, not on the weights, so a candidate is measured in seconds, before anything is trained.
It isn't a line in the multiply-accumulates but a staircase, so the widths are the runtime's own blocks.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence

from edgekd.errors import EdgekdError
from edgekd.results import Candidate, Plan

_TIE = 1.02
"""Latency ratios this close are the same on a shared machine; the larger network is then the better one."""


def search(levels: Sequence[float], measure: Callable[[float], Candidate]) -> Plan:
    """The least pruned candidate that meets the budget, by bisection over the levels.

    Args:
        levels: ratios that give different widths, ascending from 0.
        measure: builds and measures the candidate of one ratio.

    Returns:
        A plan whose ratio is that candidate's, or, where none meets the budget, the best of those measured.
    """
    seen: dict[float, Candidate] = {}

    def fits(index: int) -> bool:
        ratio = levels[index]
        if ratio not in seen:
            seen[ratio] = measure(ratio)
        return seen[ratio].fits

    last = len(levels) - 1
    if fits(0):
        return _plan(levels, seen, levels[0], True, "the unpruned network meets the budget as it is or in INT8")
    # The middle halves the search at once. Where it doesn't fit, the most pruned is the likeliest to, and then one
    # in between may, since below a block's width narrower isn't faster.
    high = next((i for i in _probes(last) if fits(i)), None)
    if high is None:
        best = _best(list(seen.values()))
        why = f"no candidate meets the budget; the fastest measured has {best.fastest:.2f} of the baseline's latency"
        return _plan(levels, seen, best.ratio, False, why)
    # what was measured and didn't fit bounds the search from below
    low = max(i for i in range(high) if levels[i] in seen)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    why = f"pruning {levels[high]:.0%} is the least measured to meet the budget; {levels[low]:.0%} doesn't"
    return _plan(levels, seen, levels[high], True, why)


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


def _best(candidates: Sequence[Candidate]) -> Candidate:
    fastest = min(c.fastest for c in candidates)
    return min((c for c in candidates if c.fastest <= fastest * _TIE), key=lambda c: c.ratio)


def _plan(levels: Sequence[float], seen: dict[float, Candidate], ratio: float, feasible: bool, why: str) -> Plan:
    candidates = tuple(seen[r] for r in sorted(seen))
    return Plan(levels=tuple(levels), candidates=candidates, ratio=ratio, feasible=feasible, why=why)
