"""The memory that loading and running the model add to the process at their peak: the median over launches."""

from collections.abc import Iterator
from statistics import median

from edgekd.gate.evidence import Threshold, counted, launches, unjudged_on, unmeasured
from edgekd.gate.headroom import rounded_up_bytes
from edgekd.gate.limits._base import Given, Needs
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import PositiveInt


class Settings(Value):
    """Bytes above what the process takes without the model."""

    peak_bytes: PositiveInt
    """What loading and running add to the process at their peak: the median over launches."""


def needs(_: Settings) -> Needs:
    """Nothing: every launch records it."""
    return Needs()


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """By the median: the peak hardly varies from launch to launch."""
    threshold = Threshold("memory.peak_bytes", "median peak memory", settings.peak_bytes, "bytes")
    if unjudged := unjudged_on(threshold, given.measurement):
        yield unjudged
    elif peaks := _peaks(given.measurement):
        found = median(peaks)
        yield counted(threshold, found, f"{threshold.what} {found:,.0f} bytes, {launches(given.measurement)}")
    else:
        yield unmeasured(threshold, "not reported by the device")


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """Above the median."""
    peaks = _peaks(measurement)
    if peaks and median(peaks) > 0:
        yield "\n[memory] # bytes that loading and running add to the process"
        yield f"peak_bytes = {rounded_up_bytes(median(peaks) * headroom)} # measured {median(peaks):,.0f}"


def _peaks(measurement: Measurement) -> list[int]:
    return [launch.peak_bytes for launch in measurement.launches if launch.peak_bytes is not None]
