"""The energy that an inference takes, of the whole processor or module: the median over launches."""

from collections.abc import Iterator

from edgekd.gate.evidence import Threshold, percentile_verdict, unjudged_on, unmeasured
from edgekd.gate.headroom import once_a_launch
from edgekd.gate.limits._base import CLOSED_LOOP_HZ, Given, Needs
from edgekd.measuring.statistics import confidence_of
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import Positive


class Settings(Value):
    """Millijoules that an inference takes, with what the device takes while idle."""

    limit_mj: Positive
    """Millijoules of an inference, of the whole processor or module: the median over launches."""
    cadence_hz: Positive | None = None
    """Inferences a second, as a camera asks for them: what the device takes in between counts; None: one after the
    other.
    """


def needs(settings: Settings) -> Needs:
    """One given device."""
    return Needs(given_device=True, cadence_hz=settings.cadence_hz or CLOSED_LOOP_HZ)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """Of the mean over the blocks of each launch."""
    threshold = Threshold("energy.limit_mj", "median energy", settings.limit_mj, "mJ")
    measurement, found = given.measurement, _energies(given.measurement)
    if not found and measurement.launches:
        yield unjudged_on(threshold, measurement) or unmeasured(threshold, "not reported by the device")
    else:
        yield percentile_verdict(threshold, measurement, found, 50, given.confidence)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """Above the upper bound of the median, where the device reports any."""
    found, cadence = _energies(measurement), measurement.protocol.cadence_hz
    if not found:
        return
    what, confidence = "millijoules that an inference takes", confidence_of(measurement.looks)
    lines = [*once_a_launch("energy", "limit_mj", what, found, headroom, confidence=confidence)]
    yield from lines
    if cadence and len(lines) > 1:  # there is a limit
        yield f"cadence_hz = {cadence!r} # inferences a second, as measured; what is taken in between counts"


def _energies(measurement: Measurement) -> list[float]:
    return [launch.energy_mj for launch in measurement.launches if launch.energy_mj is not None]
