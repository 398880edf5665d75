"""Figures for services that keep them over time.

Times appear only where they were measured on a device of the target and are valid, and a percentile only where there
are enough samples to bound it: a chart forgets the reservations.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import lower_bound, percentile, samples_ms, upper_bound
from edgekd.values import Measurement, Verdict

_PERCENTILES = (50, 90, 95, 99)


@dataclass(frozen=True)
class Figure:
    """A figure with its bounds; `measure` is what bencher calls it."""

    name: str
    measure: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95


def figures(verdict: Verdict, measurement: Measurement) -> list[Figure]:
    """What is known of an artifact, the times first."""
    artifact = measurement.artifact
    found = [
        Figure("size on disk", "file-size", "bytes", artifact.disk_bytes),
        Figure("size gzipped", "transfer-size", "bytes", artifact.transfer_bytes),
    ]
    if measurement.engine_bytes is not None:
        found.append(Figure("engine", "engine-size", "bytes", measurement.engine_bytes))
    if measurement.on_target and not spoiled(measurement) and verdict.status != "invalid":
        found = _latencies(measurement) + _ratio(verdict) + _of_launches(measurement) + found
    return found


def _latencies(measurement: Measurement) -> list[Figure]:
    # sorted once: what is in order already costs each bound next to nothing
    samples = sorted(samples_ms(measurement))
    bounded = [p for p in _PERCENTILES if upper_bound(samples, p) is not None]
    return [_percentile(f"p{p}", "latency" if p == 50 else f"latency-p{p}", samples, p) for p in bounded]


def _percentile(name: str, measure: str, samples: Sequence[float], p: float) -> Figure:
    return Figure(name, measure, "ms", percentile(samples, p), lower_bound(samples, p), upper_bound(samples, p))


def _ratio(verdict: Verdict) -> list[Figure]:
    return [
        Figure("latency ÷ baseline's", "latency-ratio", "", limit.observed, limit.low, limit.high, verdict.confidence)
        for limit in verdict.limits
        if limit.paired and limit.observed is not None
    ]


def _of_launches(measurement: Measurement) -> list[Figure]:
    launches = measurement.launches
    if not launches:
        return []
    found = [
        _percentile("load", "load-time", [launch.load_ms for launch in launches], 50),
        _percentile("first inference", "first-inference", [launch.first_ms for launch in launches], 50),
    ]
    peaks = [launch.peak_bytes for launch in launches if launch.peak_bytes is not None]
    energies = [launch.energy_mj for launch in launches if launch.energy_mj is not None]
    if peaks:
        found.append(Figure("peak memory", "peak-memory", "bytes", median(peaks)))
    if energies:
        found.append(Figure("energy", "energy", "mJ", median(energies)))
    return found
