"""The time that loading the model takes: the median over launches."""

from collections.abc import Iterator

from edgekd.gate.evidence import Threshold, percentile_verdict
from edgekd.gate.headroom import once_a_launch
from edgekd.gate.limits._base import Given, Needs
from edgekd.measuring.statistics import confidence_of
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import Positive


class Settings(Value):
    """Milliseconds from an empty process to one that can run the model."""

    limit_ms: Positive
    """The most milliseconds that loading the model may take: the median over launches."""


def needs(_: Settings) -> Needs:
    """One given device."""
    return Needs(given_device=True)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """Of one load in each launch."""
    threshold = Threshold("load.limit_ms", "median load", settings.limit_ms, "ms")
    yield percentile_verdict(threshold, given.measurement, _loads(given.measurement), 50, given.confidence)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """Above the upper bound of the median."""
    yield from once_a_launch(
        "load",
        "limit_ms",
        "milliseconds that loading takes",
        _loads(measurement),
        headroom,
        confidence=confidence_of(measurement.looks),
    )


def _loads(measurement: Measurement) -> list[float]:
    return [launch.load_ms for launch in measurement.launches]
