"""The latency of one artifact divided by that of another of the same session, whether or not they took turns."""

import math

from edgekd.measuring.statistics import ratio
from edgekd.values import Interval, Measurement


def relative(measurement: Measurement, other: Measurement, reference: Measurement) -> Interval:
    """A measurement's latency divided by another's.

    Artifacts of one group took turns with each other, and are compared directly. Those of different groups are compared
    by their ratios to the reference, which took turns with both: as independent ones, by the sum of the squares of
    their errors on a logarithmic scale.

    Raises:
        MeasurementError: as `ratio`.
    """
    if _groups(measurement) & _groups(other):
        return ratio(measurement, other)
    ours, theirs = ratio(measurement, reference), ratio(other, reference)
    estimate = ours.estimate / theirs.estimate
    down = math.hypot(math.log(ours.estimate / ours.low), math.log(theirs.high / theirs.estimate))
    up = math.hypot(math.log(ours.high / ours.estimate), math.log(theirs.estimate / theirs.low))
    low, high = estimate * math.exp(-down), estimate * math.exp(up)
    return Interval(estimate=estimate, low=low, high=high, confidence=ours.confidence)


def _groups(measurement: Measurement) -> set[int]:
    return {launch.group for launch in measurement.launches}
