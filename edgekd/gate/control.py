"""The control of a comparison: the baseline measured beside itself, which shows how far a session is off.

A ratio's interval says how well the samples of this session agree with one another. It can't say whether the session
treats two processes alike: memory layout, the order of processes or a neighbour may favour one of them in all launches.
The control is a second set of processes of the baseline's file, measured as if it were another model. Its true ratio is
1, so what its interval holds besides 1 is what the session may be off, for any of its ratios.

**The margin** is what separates the observed ratio from its limit, as a ratio. If the control is within it, an error
of the control's size can't carry the ratio across the limit. A fixed margin would be wrong both ways: a model at 0.3 of
the baseline's latency is within a limit of 0.5 though its session is off by 5 %, and one at 1.04 isn't proven within
1.05 by a session that is off by 2 %.

| the control's whole interval | the ratio |
|---|---|
| is within the margin | is judged: the session is sound enough for this limit |
| is outside the margin (of 2 % at least and 10 % at most) | is invalid: the session's error is proven |
| neither | is inconclusive: more launches make the interval narrower |

The interval has the same confidence as the ratio's, which grows from look to look. A tiny model on a noisy machine has
a wide interval: it is inconclusive near the limit and sound far from it, but never outside anything. A difference below
2 % is never called invalid: fresh processes of one file differ by some tenths of a percent on any machine, and near the
limit such a session is merely inconclusive. A session that is off by more than 10 % has failed, however far the limit.

"Outside" must be proven launch by launch as well. Drawn from few launches, a bootstrap's interval is too narrow if
launches differ more than their blocks: of five that vary by 3 %, one interval in ten lies outside 2 % by chance. The
bound of the launches' median by order statistics is exact however few they are, and exists from 6 or 7 launches on.
"""

import math
from collections.abc import Sequence

from edgekd.gate.status import worst
from edgekd.measuring.statistics import lower_bound, paired_ratios, percentile, ratio, upper_bound
from edgekd.values import Interval, LimitVerdict, Measurement, Status, Verdict

_ALWAYS_TOLERATED = math.log(1.02)
_NEVER_TOLERATED = math.log(1.10)


def controlled(verdict: Verdict, baseline: Measurement) -> Verdict:
    """The verdict with its control, and without what the control doesn't support.

    Args:
        verdict: of a comparison with the baseline.
        baseline: with its control.
    """
    assert baseline.control
    control = baseline.model_copy(update={"launches": baseline.control.launches, "invalid": baseline.control.invalid})
    found = ratio(control, baseline, verdict.confidence)
    off = _proven(paired_ratios(control, baseline), found)
    limits = tuple(_supported(limit, found, off) if limit.paired else limit for limit in verdict.limits)
    reasons = dict.fromkeys((*verdict.reasons, *control.invalid))
    if any(new.status == "invalid" != old.status for new, old in zip(limits, verdict.limits, strict=True)):
        reasons[f"{_said(found)}: this session can't be trusted"] = None
    status = worst("invalid" if reasons else "pass", *(limit.status for limit in limits))
    return verdict.model_copy(
        update={"status": status, "limits": limits, "reasons": tuple(reasons), "control": found},
    )


def _proven(launches: Sequence[Sequence[float]], control: Interval) -> float:
    """How far, at least, the control is from 1, as a logarithm: by its interval, and by the medians of its launches."""
    medians = [percentile(launch, 50) for launch in launches]
    one_sided = (1 + control.confidence) / 2
    low, high = lower_bound(medians, 50, one_sided), upper_bound(medians, 50, one_sided)
    above = min(control.low, low if low is not None else 1.0)
    below = max(control.high, high if high is not None else 1.0)
    return max(math.log(above), -math.log(below), 0.0)


def _supported(limit: LimitVerdict, control: Interval, off: float) -> LimitVerdict:
    """A limit on a ratio as far as the session's error allows, which is proven to be `off` at least."""
    if limit.observed is None:
        return limit
    margin = abs(math.log(limit.observed / limit.limit))
    if off > min(max(margin, _ALWAYS_TOLERATED), _NEVER_TOLERATED):
        return _instead(limit, "invalid", f"{_said(control)}, which is further from 1 than the ratio is from its limit")
    if limit.status in ("pass", "fail") and max(-math.log(control.low), math.log(control.high)) > margin:
        return _instead(limit, "inconclusive", f"{_said(control)}, so the session's own error may explain it")
    return limit


def _instead(limit: LimitVerdict, status: Status, why: str) -> LimitVerdict:
    evidence = limit.evidence.removesuffix(limit.status) + f"{status}: {why}"
    return limit.model_copy(update={"status": status, "evidence": evidence})


def _said(control: Interval) -> str:
    level = f"{100 * control.confidence:.5g} %"
    return f"the baseline beside itself took {control.low:.3f} to {control.high:.3f} of its own latency at {level}"
