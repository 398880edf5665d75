"""How a limit is decided, and the line of evidence that says why.

A limit on what varies passes when the upper confidence bound is within it and fails when the lower one is beyond it;
in between it is inconclusive. What is counted (bytes, nodes, right answers on a test set) has no bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import lower_bound, percentile, samples_needed, upper_bound
from edgekd.values import LimitVerdict, Measurement, Status


@dataclass(frozen=True)
class Limit:
    """A limit: where it stands in the budget, what it limits, to how much."""

    name: str
    what: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class Bounds:
    """What was observed and its confidence bounds; None where `needed` samples would be needed to have one."""

    observed: float
    low: float | None
    high: float | None
    confidence: float
    needed: int = 0


def percentile_verdict(
    limit: Limit, measurement: Measurement, samples: Sequence[float], p: float, confidence: float
) -> LimitVerdict:
    """A limit on the p-th percentile of what the device showed, with one-sided bounds."""
    if unjudged := unjudged_on(limit, measurement, spoiled(measurement)):
        return unjudged
    if not samples:
        return unmeasured(limit, f"n = 0, {launches(measurement)}")
    ordered = sorted(samples)  # once: what is in order already costs the bounds next to nothing
    bounds = Bounds(
        observed=percentile(ordered, p),
        low=lower_bound(ordered, p, confidence),
        high=upper_bound(ordered, p, confidence),
        confidence=confidence,
        needed=max(samples_needed(p, confidence), samples_needed(100 - p, confidence)),
    )
    return ranged(limit, bounds, f"n = {len(samples):,}, {launches(measurement)}")


def ranged(limit: Limit, bounds: Bounds, basis: str) -> LimitVerdict:
    """A limit on what has confidence bounds; `basis` says what they rest on."""
    low, high, level = bounds.low, bounds.high, f"at {100 * bounds.confidence:.5g} %"
    status: Status = "inconclusive"
    if high is not None and high <= limit.value:
        status, found = "pass", f"{limit.what} ≤ {_number(high, limit)} {level}"
    elif low is not None and low > limit.value:
        status, found = "fail", f"{limit.what} ≥ {_number(low, limit)} {level}"
    elif low is None or high is None:
        found = f"{limit.what} {_number(bounds.observed, limit)} needs {bounds.needed} samples"
    else:
        found = f"{limit.what} between {low:.4g} and {_number(high, limit)} {level}"
    return verdict(limit, status, bounds.observed, f"{found}, {basis}", low=low, high=high)


def counted(limit: Limit, observed: float, evidence: str, *, within: bool | None = None) -> LimitVerdict:
    """A limit on what has no bounds; within it means not more than it, unless `within` says otherwise."""
    kept = observed <= limit.value if within is None else within
    return verdict(limit, "pass" if kept else "fail", observed, evidence)


def unmeasured(limit: Limit, why: str) -> LimitVerdict:
    """A limit on what the measurement doesn't tell."""
    return verdict(limit, "not measured", None, f"{limit.what}: {why}")


def unjudged_on(limit: Limit, measurement: Measurement, reasons: Sequence[str] | None = None) -> LimitVerdict | None:
    """Why a limit on what the device shows can't be judged, if so: another device, or reasons why the measurement says
    nothing (by default those why all of it is invalid).
    """
    if elsewhere := elsewhere_than(limit, measurement):
        return elsewhere
    if reasons := measurement.invalid if reasons is None else reasons:
        why = "; ".join(reasons)
        return verdict(limit, "invalid", None, f"{limit.what}: {measurement.artifact.name}: {why}")
    return None


def elsewhere_than(limit: Limit, measurement: Measurement) -> LimitVerdict | None:
    """Why a limit on what depends on the kind of device can't be judged, if so."""
    if measurement.on_target:
        return None
    if not measurement.launches:
        return unmeasured(limit, f"there was no {measurement.target} to measure on")
    environment = measurement.environment
    return unmeasured(limit, f"{measurement.device} ({environment.arch} {environment.os}) is no {measurement.target}")


def verdict(
    limit: Limit,
    status: Status,
    observed: float | None,
    evidence: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> LimitVerdict:
    """A limit's verdict; the budget and the status are added to the evidence."""
    value = f"{limit.value:,}" if limit.unit == "bytes" else f"{limit.value:g}"
    return LimitVerdict(
        name=limit.name,
        status=status,
        limit=limit.value,
        observed=observed,
        low=low,
        high=high,
        unit=limit.unit,
        evidence=f"{evidence}, budget {value} → {status}",
    )


def launches(measurement: Measurement) -> str:
    """How many launches there were, in words."""
    count = len(measurement.launches)
    return f"{count} launch{'es' if count != 1 else ''}"


def _number(value: float, limit: Limit) -> str:
    return f"{value:.4g} {limit.unit}".rstrip()
