"""The steady-state latency: milliseconds at a percentile, or the ratio of the median to a baseline's."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import Field, model_validator

from edgekd.gate.evidence import Bounds, Threshold, launches, percentile_verdict, ranged, unjudged_on, verdict
from edgekd.gate.headroom import rounded_up
from edgekd.gate.limits._base import CLOSED_LOOP_HZ, Given, Needs
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import (
    PAIRS_NEEDED,
    confidence_of,
    lower_bound,
    paired_ratios,
    percentile,
    ratio,
    samples_ms,
    upper_bound,
)
from edgekd.values import LimitVerdict, Measurement, Status, Value
from edgekd.values.value import Positive

_STARTING_PERCENTILES = (95, 90, 50)


class Settings(Value):
    """Latency at a percentile, absolute or relative to a baseline measured in the same session."""

    percentile: Annotated[float, Field(gt=0, lt=100, strict=True)] = 50
    """Of the samples of all launches, in %, that `limit_ms` is for."""
    limit_ms: Positive | None = None
    """The most milliseconds that the percentile may be."""
    max_ratio: Positive | None = None
    """The most that the median may be as a multiple of the baseline's; at percentile 50 only."""
    cadence_hz: Positive | None = None
    """Inferences a second, as a camera asks for them; None: one after the other."""

    @model_validator(mode="after")
    def _states_a_limit(self) -> Self:
        if self.limit_ms is None and self.max_ratio is None:
            raise ValueError("needs limit_ms or max_ratio")
        if self.max_ratio is not None and self.percentile != 50:
            raise ValueError("max_ratio is judged at percentile 50 only: tails on a shared machine don't compare")
        return self


def needs(settings: Settings) -> Needs:
    """A ratio needs the baseline beside it; milliseconds need one given device."""
    relative = settings.max_ratio is not None
    return Needs(
        baseline="max_ratio" if relative else None,
        paired=relative,
        given_device=settings.limit_ms is not None,
        guides_search=True,
        cadence_hz=settings.cadence_hz or CLOSED_LOOP_HZ,
    )


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """Over the samples of all launches; what can't keep up with its cadence fails, whatever they are."""
    if settings.limit_ms is not None:
        samples, p = samples_ms(given.measurement), settings.percentile
        threshold = Threshold("latency.limit_ms", f"p{p:g}", settings.limit_ms, "ms")
        late = _behind(threshold, settings, given.measurement, given.confidence)
        yield late or percentile_verdict(threshold, given.measurement, samples, p, given.confidence)
    if settings.max_ratio is not None and given.baseline:
        threshold = Threshold("latency.max_ratio", "latency ÷ baseline's", settings.max_ratio, paired=True)
        late = _behind(threshold, settings, given.measurement, given.confidence)
        late = late or _behind(threshold, settings, given.baseline, given.confidence, beside=True)
        yield late or _relative(threshold, given.measurement, given.baseline, given.confidence)


def _behind(
    threshold: Threshold, settings: Settings, measurement: Measurement, confidence: float, *, beside: bool = False
) -> LimitVerdict | None:
    """A limit that isn't met since inferences take longer than their period: each starts later than the one before,
    without end, of which the few periods of a turn show the beginning alone. Of a baseline that falls behind no ratio
    is one of latencies. None where that isn't so.
    """
    if settings.cadence_hz is None or not measurement.launches or unjudged_on(threshold, measurement, ()):
        return None
    samples, period = sorted(samples_ms(measurement)), 1000 / settings.cadence_hz
    low, high = (bound(samples, 50, confidence) for bound in (lower_bound, upper_bound))
    if spoiled(measurement) or high is None or high <= period:
        return None
    observed = percentile(samples, 50)
    found = f"half of the inferences of {measurement.artifact.name} take {observed:.4g} ms or longer"
    what = f"{found}, and one is due every {period:.4g} ms: it doesn't keep up with {settings.cadence_hz:g} Hz"
    if beside:
        hint = "; compare the two in a closed loop, without cadence_hz"
        return verdict(threshold, "inconclusive", None, f"{what}{hint}, {launches(measurement)}")
    status: Status = "fail" if low is not None and low > period else "inconclusive"
    return verdict(threshold, status, None, f"{what}, {launches(measurement)}")


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """At the highest percentile that the samples support."""
    samples, confidence = sorted(samples_ms(measurement)), confidence_of(measurement.looks)
    cadence = measurement.protocol.cadence_hz
    if cadence and (high := upper_bound(samples, 50, confidence)) and high > 1000 / cadence:
        yield f"\n# [latency] limit_ms: it doesn't keep up with {cadence!r} inferences a second, so no limit is met"
        return
    supported = [(p, bound) for p in _STARTING_PERCENTILES if (bound := upper_bound(samples, p, confidence))]
    if not supported:
        yield f"\n# [latency] limit_ms: {len(samples)} samples support no percentile; measure for longer to limit it"
        return
    p, bound = supported[0]
    yield "\n[latency] # milliseconds that an inference takes in steady state"
    yield f"percentile = {p} # the highest of 95, 90 and 50 that {len(samples):,} samples support"
    yield f"limit_ms = {rounded_up(bound * headroom)} # measured {percentile(samples, p):.4g}, at most {bound:.4g}"
    if cadence:
        yield f"cadence_hz = {cadence!r} # inferences a second, as measured; another cadence has another latency"


def _relative(threshold: Threshold, measurement: Measurement, baseline: Measurement, confidence: float) -> LimitVerdict:
    """The latency relative to the baseline's, block by block."""
    for each in (measurement, baseline):
        if unjudged := unjudged_on(threshold, each):
            return unjudged
    pairs = sum(map(len, paired_ratios(measurement, baseline)))
    basis = f"{pairs} pairs of blocks, {launches(measurement)}"
    if pairs < PAIRS_NEEDED:
        found = f"{threshold.what} needs {PAIRS_NEEDED} pairs of blocks, {basis}"
        return verdict(threshold, "inconclusive", None, found)
    r = ratio(measurement, baseline, confidence)
    return ranged(threshold, Bounds(r.estimate, r.low, r.high, confidence), basis)
