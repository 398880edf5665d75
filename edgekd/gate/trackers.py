"""Figures for services that keep them over time: bencher and github-action-benchmark.

Times appear only where they were measured on a device of the target and are valid, and a percentile only where there
are enough samples to bound it: a chart forgets the reservations.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from edgekd.gate.findings import plain
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import lower_bound, percentile, samples_ms, upper_bound
from edgekd.measuring.summary import conditions
from edgekd.values import Measurement, Verdict

_PERCENTILES = (50, 90, 95, 99)
_LONGEST_NAME = 1024  # bencher's


@dataclass(frozen=True)
class _Metric:
    """A figure with its bounds; `measure` is what bencher calls it."""

    name: str
    measure: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    confidence: float = 0.95


def bencher(verdict: Verdict, measurement: Measurement) -> str:
    """Bencher Metric Format (https://bencher.dev/docs/reference/bencher-metric-format): the artifact's measures.

    Times are in nanoseconds and sizes in bytes, as in its built-in measures `latency` (here: the median) and
    `file-size`.
    """
    found = {}
    for metric in _metrics(verdict, measurement):
        scale = 1e6 if metric.unit == "ms" else 1
        values = {"value": metric.value, "lower_value": metric.low, "upper_value": metric.high}
        found[metric.measure] = {key: value * scale for key, value in values.items() if value is not None}
    return json.dumps({plain(measurement.artifact.name)[:_LONGEST_NAME]: found}, indent=1)


def benchmark_action(verdict: Verdict, measurement: Measurement) -> str:
    """What github-action-benchmark reads as `tool: customSmallerIsBetter`."""
    # it writes names into Markdown tables as they are
    artifact = plain(measurement.artifact.name).replace("`", "'").replace("|", "/")
    entries = []
    for metric in _metrics(verdict, measurement):
        entry = {"name": f"{artifact}: {metric.name}", "unit": metric.unit, "value": metric.value}
        if metric.low is not None and metric.high is not None:
            entry["range"] = f"{metric.low:.4g} to {metric.high:.4g} at {100 * metric.confidence:.5g} %"
        entries.append(
            entry | {"extra": plain(f"budget {verdict.budget}: {verdict.status}; {conditions(measurement)[0]}")}
        )
    return json.dumps(entries, indent=1)


def _metrics(verdict: Verdict, measurement: Measurement) -> list[_Metric]:
    artifact = measurement.artifact
    found = [
        _Metric("size on disk", "file-size", "bytes", artifact.disk_bytes),
        _Metric("size gzipped", "transfer-size", "bytes", artifact.transfer_bytes),
    ]
    if measurement.engine_bytes is not None:
        found.append(_Metric("engine", "engine-size", "bytes", measurement.engine_bytes))
    if measurement.on_target and not spoiled(measurement) and verdict.status != "invalid":
        found = _latencies(measurement) + _ratio(verdict) + _of_launches(measurement) + found
    return found


def _latencies(measurement: Measurement) -> list[_Metric]:
    # sorted once: what is in order already costs each bound next to nothing
    samples = sorted(samples_ms(measurement))
    bounded = [p for p in _PERCENTILES if upper_bound(samples, p) is not None]
    return [_percentile(f"p{p}", "latency" if p == 50 else f"latency-p{p}", samples, p) for p in bounded]


def _percentile(name: str, measure: str, samples: Sequence[float], p: float) -> _Metric:
    return _Metric(name, measure, "ms", percentile(samples, p), lower_bound(samples, p), upper_bound(samples, p))


def _ratio(verdict: Verdict) -> list[_Metric]:
    return [
        _Metric("latency ÷ baseline's", "latency-ratio", "", limit.observed, limit.low, limit.high, verdict.confidence)
        for limit in verdict.limits
        if limit.name == "latency.max_ratio" and limit.observed is not None
    ]


def _of_launches(measurement: Measurement) -> list[_Metric]:
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
        found.append(_Metric("peak memory", "peak-memory", "bytes", median(peaks)))
    if energies:
        found.append(_Metric("energy", "energy", "mJ", median(energies)))
    return found
