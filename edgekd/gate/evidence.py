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
class Threshold:
    """Where a limit stands in the budget, what it limits, to how much."""

    name: str
    what: str
    value: float
    unit: str = ""
    paired: bool = False
    """Whether it is judged by the ratio to a baseline that took turns with what is judged."""


@dataclass(frozen=True)
class Bounds:
    """What was observed and its confidence bounds; None where `needed` samples would be needed to have one."""

    observed: float
    low: float | None
    high: float | None
    confidence: float
    needed: int = 0


def percentile_verdict(
    threshold: Threshold, measurement: Measurement, samples: Sequence[float], p: float, confidence: float
) -> LimitVerdict:
    """A limit on the p-th percentile of what the device showed, with one-sided bounds."""
    if unjudged := unjudged_on(threshold, measurement, spoiled(measurement)):
        return unjudged
    if not samples:
        return unmeasured(threshold, f"n = 0, {launches(measurement)}")
    ordered = sorted(samples)  # once: what is in order already costs the bounds next to nothing
    bounds = Bounds(
        observed=percentile(ordered, p),
        low=lower_bound(ordered, p, confidence),
        high=upper_bound(ordered, p, confidence),
        confidence=confidence,
        needed=max(samples_needed(p, confidence), samples_needed(100 - p, confidence)),
    )
    return ranged(threshold, bounds, f"n = {len(samples):,}, {launches(measurement)}")


def ranged(threshold: Threshold, bounds: Bounds, basis: str) -> LimitVerdict:
    """A limit on what has confidence bounds; `basis` says what they rest on."""
    low, high, level = bounds.low, bounds.high, f"at {100 * bounds.confidence:.5g} %"
    status: Status = "inconclusive"
    if high is not None and high <= threshold.value:
        status, found = "pass", f"{threshold.what} ≤ {_number(high, threshold)} {level}"
    elif low is not None and low > threshold.value:
        status, found = "fail", f"{threshold.what} ≥ {_number(low, threshold)} {level}"
    elif low is None or high is None:
        found = f"{threshold.what} {_number(bounds.observed, threshold)} needs {bounds.needed} samples"
    else:
        found = f"{threshold.what} between {low:.4g} and {_number(high, threshold)} {level}"
    return verdict(threshold, status, bounds.observed, f"{found}, {basis}", low=low, high=high)


def counted(threshold: Threshold, observed: float, evidence: str, *, within: bool | None = None) -> LimitVerdict:
    """A limit on what has no bounds; within it means not more than it, unless `within` says otherwise."""
    kept = observed <= threshold.value if within is None else within
    return verdict(threshold, "pass" if kept else "fail", observed, evidence)


def unmeasured(threshold: Threshold, why: str) -> LimitVerdict:
    """A limit on what the measurement says nothing about."""
    return verdict(threshold, "not measured", None, f"{threshold.what}: {why}")


def unjudged_on(
    threshold: Threshold, measurement: Measurement, reasons: Sequence[str] | None = None
) -> LimitVerdict | None:
    """Why a limit on what the device shows can't be judged, if so: another device, or reasons why the measurement says
    nothing (by default those why all of it is invalid).
    """
    if elsewhere := elsewhere_than(threshold, measurement):
        return elsewhere
    if reasons := measurement.invalid if reasons is None else reasons:
        why = "; ".join(reasons)
        return verdict(threshold, "invalid", None, f"{threshold.what}: {measurement.artifact.name}: {why}")
    return None


def elsewhere_than(threshold: Threshold, measurement: Measurement) -> LimitVerdict | None:
    """Why a limit on what depends on the kind of device can't be judged, if so."""
    if measurement.on_target:
        return None
    if not measurement.launches:
        return unmeasured(threshold, f"there was no {measurement.target} to measure on")
    host = measurement.host
    return unmeasured(threshold, f"{measurement.device} ({host.arch} {host.os}) is no {measurement.target}")


def verdict(
    threshold: Threshold,
    status: Status,
    observed: float | None,
    evidence: str,
    *,
    low: float | None = None,
    high: float | None = None,
) -> LimitVerdict:
    """A limit's verdict; the budget and the status are added to the evidence."""
    value = f"{threshold.value:,}" if threshold.unit == "bytes" else f"{threshold.value:g}"
    return LimitVerdict(
        name=threshold.name,
        status=status,
        limit=threshold.value,
        observed=observed,
        low=low,
        high=high,
        unit=threshold.unit,
        paired=threshold.paired,
        evidence=f"{evidence}, budget {value} → {status}",
    )


def launches(measurement: Measurement) -> str:
    """How many launches there were, in words."""
    count = len(measurement.launches)
    return f"{count} launch{'es' if count != 1 else ''}"


def _number(value: float, threshold: Threshold) -> str:
    return f"{value:.4g} {threshold.unit}".rstrip()
