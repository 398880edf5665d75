"""One limit against what was measured, with the line of evidence.

A limit on what varies passes when the upper confidence bound is within it and fails when the lower one is beyond it;
in between it is inconclusive. What is counted (bytes, right answers on a test set) has no bounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from edgekd.profiling.statistics import (
    PAIRS_NEEDED,
    lower_bound,
    paired_ratios,
    percentile,
    ratio,
    samples_needed,
    upper_bound,
)
from edgekd.schema import Accuracy, LimitVerdict, Measurement, Status


@dataclass(frozen=True)
class _Limit:
    """A limit: where it stands in the budget, what it limits, to how much."""

    name: str
    what: str
    value: float
    unit: str = ""


def latency(measurement: Measurement, p: float, limit_ms: float) -> LimitVerdict:
    """The steady-state latency at a percentile, over the samples of all launches."""
    blocks = chain.from_iterable(launch.blocks_ms for launch in measurement.launches)
    samples = list(chain.from_iterable(blocks))
    return _percentile(_Limit("latency.limit_ms", f"p{p:g}", limit_ms, "ms"), measurement, samples, p)


def one_off(measurement: Measurement, name: str, what: str, times: Sequence[float], limit_ms: float) -> LimitVerdict:
    """A time that each launch has one of: its median."""
    return _percentile(_Limit(name, f"median {what}", limit_ms, "ms"), measurement, times, 50)


def latency_ratio(measurement: Measurement, baseline: Measurement, max_ratio: float) -> LimitVerdict:
    """The latency relative to the baseline's, block by block."""
    limit = _Limit("latency.max_ratio", "latency ÷ baseline's", max_ratio)
    for each in (measurement, baseline):
        if unjudged := _unjudged(limit, each):
            return unjudged
    pairs = sum(map(len, paired_ratios(measurement, baseline)))
    basis = f"{pairs} pairs of blocks, {_launches(measurement)}"
    if pairs < PAIRS_NEEDED:
        return _verdict(limit, "inconclusive", None, f"{limit.what} needs {PAIRS_NEEDED} pairs of blocks, {basis}")
    found = ratio(measurement, baseline)
    return _ranged(limit, found.estimate, (found.low, found.high), basis)


def size(name: str, what: str, found: int, limit: int) -> LimitVerdict:
    """Bytes of a file."""
    return _counted(_Limit(name, what, limit, "bytes"), found <= limit, found, f"{what} {found:,} bytes")


def memory(measurement: Measurement, peak_bytes: int) -> LimitVerdict:
    """The median over launches of the peak memory that loading and running took."""
    limit = _Limit("memory.peak_bytes", "median peak memory", peak_bytes, "bytes")
    if unjudged := _unjudged(limit, measurement):
        return unjudged
    peaks = [launch.peak_bytes for launch in measurement.launches if launch.peak_bytes is not None]
    if not peaks:
        return _verdict(limit, "not measured", None, f"{limit.what}: the device doesn't tell")
    found = median(peaks)
    evidence = f"{limit.what} {found:,.0f} bytes, {_launches(measurement)}"
    return _counted(limit, found <= peak_bytes, found, evidence)


def accuracy(found: Accuracy | None, min_top1: float) -> LimitVerdict:
    """Top-1 accuracy on the test set."""
    limit = _Limit("accuracy.min_top1", "top-1 accuracy", min_top1)
    if found is None:
        return _verdict(limit, "not measured", None, f"{limit.what}: none in this measurement")
    return _counted(limit, found.top1 >= min_top1, found.top1, f"{limit.what} {found.top1:.4f} {_images(found)}")


def accuracy_drop(found: Accuracy | None, baseline: Accuracy | None, max_drop_pp: float) -> LimitVerdict:
    """Percentage points of top-1 accuracy lost against the baseline on the same images."""
    limit = _Limit("accuracy.max_drop_pp", "top-1 accuracy lost", max_drop_pp, "points")
    if found is None or baseline is None:
        whose = "this measurement" if found is None else "the baseline"
        return _verdict(limit, "not measured", None, f"{limit.what}: {whose} has no accuracy")
    if (found.dataset, found.split, found.images) != (baseline.dataset, baseline.split, baseline.images):
        evidence = f"{limit.what}: measured {_images(found)}, but the baseline {_images(baseline)}"
        return _verdict(limit, "not measured", None, evidence)
    drop = 100 * (baseline.correct - found.correct) / found.images
    change = f"{100 * baseline.top1:.2f} % to {100 * found.top1:.2f} %"
    moved = f"lost {drop:.2f}" if drop >= 0 else f"gained {-drop:.2f}"
    return _counted(limit, drop <= max_drop_pp, drop, f"top-1 accuracy {moved} points ({change}) {_images(found)}")


def _percentile(limit: _Limit, measurement: Measurement, samples: Sequence[float], p: float) -> LimitVerdict:
    if unjudged := _unjudged(limit, measurement):
        return unjudged
    basis = f"n = {len(samples):,}, {_launches(measurement)}"
    if not samples:
        return _verdict(limit, "not measured", None, f"{limit.what}: {basis}")
    return _ranged(
        limit, percentile(samples, p), (lower_bound(samples, p), upper_bound(samples, p)), basis, samples_needed(p)
    )


def _ranged(
    limit: _Limit, observed: float, bounds: tuple[float | None, float | None], basis: str, needed: int = 0
) -> LimitVerdict:
    low, high = bounds
    status: Status = "inconclusive"
    if high is not None and high <= limit.value:
        status, found = "pass", f"{limit.what} ≤ {_number(high, limit)} at 95 %"
    elif low is not None and low > limit.value:
        status, found = "fail", f"{limit.what} ≥ {_number(low, limit)} at 95 %"
    elif low is None or high is None:
        found = f"{limit.what} {_number(observed, limit)} needs {needed} samples"
    else:
        found = f"{limit.what} between {low:.4g} and {_number(high, limit)} at 95 %"
    return _verdict(limit, status, observed, f"{found}, {basis}")


def _unjudged(limit: _Limit, measurement: Measurement) -> LimitVerdict | None:
    """Why a limit that depends on the device can't be judged, if so."""
    if not measurement.on_target and not measurement.launches:
        return _verdict(limit, "not measured", None, f"{limit.what}: there was no {measurement.target} to measure on")
    if not measurement.on_target:
        environment = measurement.environment
        machine = f"{measurement.device} ({environment.arch} {environment.os})"
        return _verdict(limit, "not measured", None, f"{limit.what}: {machine} is no {measurement.target}")
    if measurement.invalid:
        why = "; ".join(measurement.invalid)
        return _verdict(limit, "invalid", None, f"{limit.what}: {measurement.artifact.name}: {why}")
    return None


def _counted(limit: _Limit, within: bool, observed: float, evidence: str) -> LimitVerdict:
    return _verdict(limit, "pass" if within else "fail", observed, evidence)


def _verdict(limit: _Limit, status: Status, observed: float | None, evidence: str) -> LimitVerdict:
    value = f"{limit.value:,}" if limit.unit == "bytes" else f"{limit.value:g}"
    return LimitVerdict(
        name=limit.name,
        status=status,
        limit=limit.value,
        observed=observed,
        unit=limit.unit,
        evidence=f"{evidence}, budget {value} → {status}",
    )


def _number(value: float, limit: _Limit) -> str:
    return f"{value:.4g} {limit.unit}".rstrip()


def _launches(measurement: Measurement) -> str:
    count = len(measurement.launches)
    return f"{count} launch{'es' if count != 1 else ''}"


def _images(accuracy: Accuracy) -> str:
    return f"on {accuracy.images:,} images of {accuracy.dataset} {accuracy.split}"
