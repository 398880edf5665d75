"""The time that the first inference after loading takes: the median over launches."""

from collections.abc import Iterator

from edgekd.gate.evidence import Threshold, percentile_verdict
from edgekd.gate.headroom import once_a_launch
from edgekd.gate.limits._base import Given, Needs
from edgekd.measuring.statistics import confidence_of
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import Positive


class Settings(Value):
    """Milliseconds of an inference whose memory and caches are still cold."""

    limit_ms: Positive
    """The most milliseconds that the first inference after loading may take: the median over launches."""


def needs(_: Settings) -> Needs:
    """One given device."""
    return Needs(given_device=True)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """Of one first inference in each launch."""
    threshold = Threshold("first_inference.limit_ms", "median first inference", settings.limit_ms, "ms")
    yield percentile_verdict(threshold, given.measurement, _firsts(given.measurement), 50, given.confidence)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """Above the upper bound of the median."""
    found = _firsts(measurement)
    yield from once_a_launch(
        "first_inference",
        "limit_ms",
        "milliseconds that the first takes",
        found,
        headroom,
        confidence=confidence_of(measurement.looks),
    )


def _firsts(measurement: Measurement) -> list[float]:
    return [launch.first_ms for launch in measurement.launches]
