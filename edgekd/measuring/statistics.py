"""Percentiles with confidence bounds, and the ratio of two interleaved measurements.

Pure Python: importing numpy would take longer than the computations. Bounds of percentiles are order statistics with
exact binomial confidence (Conover, Practical Nonparametric Statistics, §3.2); their only assumption is that samples
are independent.
"""

import math
import random
from collections.abc import Collection, Sequence
from itertools import chain

from edgekd.errors import MeasurementError
from edgekd.values import Interval, Launch, Measurement

PAIRS_NEEDED = 5
"""Minimum number of block pairs for an interval of a ratio."""

_DRAWS = 1000


def samples_ms(measurement: Measurement) -> list[float]:
    """The latencies of all timed inferences of all launches."""
    return [ms for launch in measurement.launches for block in launch.blocks_ms for ms in block]


def median_ms(measurement: Measurement) -> float:
    """The median of `samples_ms`. Raises ValueError without samples."""
    return percentile(samples_ms(measurement), 50)


def percentile(samples: Sequence[float], p: float) -> float:
    """The p-th percentile (0 to 100), interpolated linearly between samples. Raises ValueError without samples."""
    if not samples:
        raise ValueError("no samples")
    return _between(sorted(samples), p)


def upper_bound(samples: Sequence[float], p: float, confidence: float = 0.95) -> float | None:
    """An upper bound of the p-th percentile with this confidence; None if there are too few samples."""
    n = len(samples)
    if n < samples_needed(p, confidence):
        return None
    return sorted(samples)[_upper_rank(n, p / 100, confidence) - 1]


def lower_bound(samples: Sequence[float], p: float, confidence: float = 0.95) -> float | None:
    """A lower bound of the p-th percentile with this confidence; None if there are too few samples."""
    # the p-th percentile of the samples is the (100 − p)-th of their negatives
    bound = upper_bound([-sample for sample in samples], 100 - p, confidence)
    return None if bound is None else -bound


def samples_needed(p: float, confidence: float = 0.95) -> int:
    """The smallest number of samples for an upper bound of the p-th percentile: 1 − (p/100)ⁿ ≥ confidence."""
    needed = math.ceil(math.log1p(-confidence) / math.log(p / 100) - 1e-9)
    return max(1, needed)


def _upper_rank(n: int, quantile: float, confidence: float) -> int:
    """The smallest rank k for which P(X₍ₖ₎ ≥ quantile) = P(Binomial(n, quantile) < k) reaches the confidence.

    Sums the binomial's upper tail, from where it is negligible, until it exceeds 1 − confidence.
    """
    odds = (1 - quantile) / quantile
    k = min(n, math.ceil(n * quantile + 12 * math.sqrt(n * quantile * (1 - quantile)) + 20))
    term = math.exp(_log_binomial(n, k, quantile))
    tail = term  # P(Binomial ≥ k), except for the part beyond 12 standard deviations
    while k > 0 and tail <= (1 - confidence) * (1 + 1e-12):
        term *= k / (n - k + 1) * odds
        k -= 1
        tail += term
    return min(n, k + 1)


def _log_binomial(n: int, k: int, quantile: float) -> float:
    choices = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return choices + k * math.log(quantile) + (n - k) * math.log1p(-quantile)


def ratio(measurement: Measurement, baseline: Measurement, confidence: float = 0.95) -> Interval:
    """A measurement's latency divided by the baseline's: the ratio of the medians of two blocks that ran side by side,
    and of these the median over all pairs of blocks.

    The interval is two-sided, from a hierarchical bootstrap: launches are drawn with replacement, then blocks within
    them, because a launch's memory layout affects all of its blocks.

    Raises:
        MeasurementError: the two weren't measured side by side in the same way, or have fewer than 5 pairs of blocks.
    """
    launches = paired_ratios(measurement, baseline)
    pairs = sorted(chain.from_iterable(launches))
    if len(pairs) < PAIRS_NEEDED:
        raise MeasurementError(
            f"{len(pairs)} pairs of blocks are too few for a comparison; {PAIRS_NEEDED} are needed",
            "Measure longer: --seconds, --launches.",
        )
    generator = random.Random(0)
    medians = sorted(_resampled_median(launches, generator) for _ in range(_DRAWS))
    outside = 100 * (1 - confidence) / 2
    return Interval(
        estimate=_between(pairs, 50),
        low=_between(medians, outside),
        high=_between(medians, 100 - outside),
        confidence=confidence,
    )


def confidence_of_look(look: int, overall: float = 0.95) -> float:
    """The confidence of each bound at a look (from 1) at growing data, so that all looks together have `overall`.

    The first look may use half of the total error, the second a quarter, and so on for any number of looks (alpha
    spending with Bonferroni's inequality; Lan and DeMets, Biometrika 70, 1983).
    """
    return 1 - (1 - overall) * 0.5**look


def confidence_of(looks: int | None) -> float:
    """The confidence at which samples are judged: of as many looks as they grew for, or of none."""
    return 0.95 if looks is None else confidence_of_look(looks)


def paired_ratios(measurement: Measurement, baseline: Measurement) -> list[list[float]]:
    """For each launch, the ratios of the medians of blocks that ran side by side.

    Raises:
        MeasurementError: the two weren't measured side by side in the same way.
    """
    unlike = _differences(measurement, baseline)
    if unlike:
        raise MeasurementError(
            f"{measurement.artifact.name} and {baseline.artifact.name} can't be compared: {'; '.join(unlike)}",
            "Measure both in one session: `edgekd profile` or `edgekd check` with --baseline.",
        )
    return [
        [_ratio_of_medians(a, b) for a, b in zip(ours.blocks_ms, theirs.blocks_ms, strict=True)]
        for ours, theirs in _side_by_side(measurement, baseline)
    ]


def _side_by_side(a: Measurement, b: Measurement) -> list[tuple[Launch, Launch]]:
    """The launches in which both took turns (those of shared groups), in order."""
    theirs = {group: [launch for launch in b.launches if launch.group == group] for group in _groups(b)}
    return [
        pair
        for group in _groups(a)
        if group in theirs
        for pair in zip([one for one in a.launches if one.group == group], theirs[group], strict=True)
    ]


def _groups(measurement: Measurement) -> list[int]:
    return sorted({launch.group for launch in measurement.launches})


def _ratio_of_medians(block: Sequence[float], other: Sequence[float]) -> float:
    median = percentile(other, 50)
    if median == 0:
        raise MeasurementError("a block of the baseline took 0 ms", "The file is damaged or was edited: measure again.")
    return percentile(block, 50) / median


def _differences(a: Measurement, b: Measurement) -> list[str]:
    """The differences between two measurements that make them incomparable: everything must be equal except the
    artifact with its runtime, precision and settings.
    """
    found = [] if a.session == b.session else ["they are from different sessions"]
    found += [] if a.device == b.device else [f"the devices are {a.device} and {b.device}"]
    for part in ("host", "protocol"):
        ours, theirs = getattr(a, part), getattr(b, part)
        for field in type(ours).model_fields:
            mine, other = getattr(ours, field), getattr(theirs, field)
            if mine != other:
                found.append(f"{part}: {field} is {mine!r} and {other!r}")
    shared = set(_groups(a)) & set(_groups(b))
    if not found and not shared and a.launches and b.launches:
        found.append("they are in different groups of their session: each took turns only with the reference")
    if not found and _block_counts(a, shared) != _block_counts(b, shared):
        found.append("their numbers of blocks differ")
    return found


def _block_counts(measurement: Measurement, groups: Collection[int]) -> list[tuple[int, int]]:
    counts = [(launch.group, len(launch.blocks_ms)) for launch in measurement.launches if launch.group in groups]
    return sorted(counts, key=lambda count: count[0])


def _resampled_median(launches: Sequence[Sequence[float]], generator: random.Random) -> float:
    drawn = (generator.choices(launch, k=len(launch)) for launch in generator.choices(launches, k=len(launches)))
    return _between(sorted(chain.from_iterable(drawn)), 50)


def _between(ordered: Sequence[float], p: float) -> float:
    position = (len(ordered) - 1) * p / 100
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
