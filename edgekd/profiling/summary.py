"""Measurements in words and figures, for people."""

from collections.abc import Sequence
from itertools import chain
from statistics import median

from edgekd.errors import MeasurementError
from edgekd.profiling.statistics import percentile, ratio, samples_needed, upper_bound
from edgekd.schema import Measurement

BOUNDS = "(≤ …) is the upper bound of the percentile, at 95 % confidence"

_PERCENTILES = (50, 90, 95, 99)


def rows(found: Sequence[Measurement]) -> list[list[str]]:
    """A table with a column for each measurement; the first row holds the artifacts' names, the first column what."""
    table = [["", *(m.artifact.name for m in found)]]
    table += [[f"p{p}", *(_percentile(m, p) for m in found)] for p in _PERCENTILES]
    table.append(["load", *(_time([launch.load_ms for launch in m.launches]) for m in found)])
    table.append(["first inference", *(_time([launch.first_ms for launch in m.launches]) for m in found)])
    table.append(["peak memory", *(_peak(m) for m in found)])
    table.append(["size on disk", *(_megabytes(m.artifact.disk_bytes) for m in found)])
    table.append(["size gzipped", *(_megabytes(m.artifact.transfer_bytes) for m in found)])
    table.append(["precision", *(m.artifact.precision for m in found)])
    table.append(["samples", *(_counts(m) for m in found)])
    return table


def _samples(m: Measurement) -> list[float]:
    return list(chain.from_iterable(chain.from_iterable(launch.blocks_ms for launch in m.launches)))


def _counts(m: Measurement) -> str:
    launches = len(m.launches)
    return f"{len(_samples(m)):,} in {launches} launch{'es' if launches != 1 else ''}"


def _percentile(m: Measurement, p: float) -> str:
    samples = _samples(m)
    bound = upper_bound(samples, p)
    if bound is None:
        return f"needs {samples_needed(p)} samples"
    return f"{percentile(samples, p):.4g} ms (≤ {bound:.4g})"


def _time(times: Sequence[float]) -> str:
    return f"{median(times):.4g} ms" if times else "not measured"


def _peak(m: Measurement) -> str:
    peaks = [launch.peak_bytes for launch in m.launches if launch.peak_bytes is not None]
    return _megabytes(median(peaks)) if peaks else "not measured"


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.2f} MB"


def comparison(m: Measurement, baseline: Measurement) -> str:
    """How the latencies of two measurements relate, or why they don't."""
    names = f"{m.artifact.name} ÷ {baseline.artifact.name}"
    try:
        found = ratio(m, baseline)
    except MeasurementError as e:
        return f"{names}: {e.message}"
    return f"{names}: {found.estimate:.3f} of the latency ({found.low:.3f} to {found.high:.3f} at 95 %)"


def conditions(m: Measurement) -> str:
    """On what and how it was measured."""
    e, p = m.environment, m.protocol
    threads = f"{p.threads} thread{'s' if p.threads > 1 else ''}"
    where = f"{m.device} {e.cpu}, {e.cores} cores ({e.arch} {e.os})"
    return f"on {where}; {e.runtime} {e.runtime_version} {e.provider}, {threads}, batch {p.batch}, {p.loop} loop"
