"""Limits on what varies from one inference or launch to the next: times, memory, energy."""

from collections.abc import Sequence
from statistics import median

from edgekd.gate.evidence import (
    Bounds,
    Limit,
    counted,
    launches,
    percentile_verdict,
    ranged,
    unjudged_on,
    unmeasured,
    verdict,
)
from edgekd.measuring.statistics import PAIRS_NEEDED, paired_ratios, ratio, samples_ms
from edgekd.values import LimitVerdict, Measurement


def latency(measurement: Measurement, p: float, limit_ms: float, *, confidence: float) -> LimitVerdict:
    """The steady-state latency at a percentile, over the samples of all launches."""
    samples = samples_ms(measurement)
    return percentile_verdict(Limit("latency.limit_ms", f"p{p:g}", limit_ms, "ms"), measurement, samples, p, confidence)


def one_off(limit: Limit, measurement: Measurement, found: Sequence[float], *, confidence: float) -> LimitVerdict:
    """What each launch has one of, such as its load time: the median."""
    return percentile_verdict(limit, measurement, found, 50, confidence)


def energy(measurement: Measurement, limit_mj: float, *, confidence: float) -> LimitVerdict:
    """The energy that an inference takes: the median over launches."""
    limit = Limit("energy.limit_mj", "median energy", limit_mj, "mJ")
    found = [launch.energy_mj for launch in measurement.launches if launch.energy_mj is not None]
    if not found and measurement.launches:
        return unjudged_on(limit, measurement) or unmeasured(limit, "the device doesn't tell")
    return one_off(limit, measurement, found, confidence=confidence)


def latency_ratio(
    measurement: Measurement, baseline: Measurement, max_ratio: float, *, confidence: float
) -> LimitVerdict:
    """The latency relative to the baseline's, block by block."""
    limit = Limit("latency.max_ratio", "latency ÷ baseline's", max_ratio)
    for each in (measurement, baseline):
        if unjudged := unjudged_on(limit, each):
            return unjudged
    pairs = sum(map(len, paired_ratios(measurement, baseline)))
    basis = f"{pairs} pairs of blocks, {launches(measurement)}"
    if pairs < PAIRS_NEEDED:
        return verdict(limit, "inconclusive", None, f"{limit.what} needs {PAIRS_NEEDED} pairs of blocks, {basis}")
    found = ratio(measurement, baseline, confidence)
    return ranged(limit, Bounds(found.estimate, found.low, found.high, confidence), basis)


def memory(measurement: Measurement, peak_bytes: int) -> LimitVerdict:
    """The median over launches of the peak memory that loading and running took."""
    limit = Limit("memory.peak_bytes", "median peak memory", peak_bytes, "bytes")
    if unjudged := unjudged_on(limit, measurement):
        return unjudged
    peaks = [launch.peak_bytes for launch in measurement.launches if launch.peak_bytes is not None]
    if not peaks:
        return unmeasured(limit, "the device doesn't tell")
    found = median(peaks)
    return counted(limit, found, f"{limit.what} {found:,.0f} bytes, {launches(measurement)}")
