"""What happened to a device while it was measured that makes its times invalid.

Throttling and changed clocks spoil all that was measured. A drift, which the canary shows, spoils milliseconds, but not
the ratio of artifacts that took turns: it hit all of them alike.
"""

from edgekd.measuring.statistics import lower_bound, percentile, upper_bound
from edgekd.values import Launch, Measurement, State

_DRIFT = 0.03

EMULATED = "emulated: another processor runs the device's instructions, and takes longer or shorter than the device"
"""Why no time of an emulated device is valid."""


def disturbances(before: State, after: State) -> tuple[str, ...]:
    """Why all that was measured between two states is invalid, in words; nothing if all was quiet."""
    reasons = []
    throttled = (after.throttle_count or 0) - (before.throttle_count or 0)
    if throttled > 0:
        reasons.append(f"the device throttled {throttled} times while it was measured")
    if slowed := sorted({*before.throttled_by, *after.throttled_by}):
        reasons.append(f"the device was slowed down by {', '.join(slowed)}")
    if after.governor != before.governor:
        reasons.append(f"the clock governor changed from {before.governor} to {after.governor}")
    if _drifted(before.clock_limit_mhz, after.clock_limit_mhz):
        change = f"from {before.clock_limit_mhz:g} to {after.clock_limit_mhz:g} MHz"
        reasons.append(f"the highest clock allowed changed {change}")
    return tuple(reasons)


def drift(launch: Launch) -> str | None:
    """How the canary changed from the first half of a launch's blocks to the second, if it surely did by more than 3 %.

    Surely: not only the medians of the halves but their bounds at 95 % are so far apart. A clock that only wavers
    shows in the percentiles, as it should.
    """
    middle = len(launch.canary_ms) // 2
    early, late = sorted(launch.canary_ms[:middle]), sorted(launch.canary_ms[middle:])
    bounds = [bound(half, 50) for half in (early, late) for bound in (lower_bound, upper_bound)]
    if None in bounds:
        return None
    early_low, early_high, late_low, late_high = (bound or 0.0 for bound in bounds)
    if late_low <= (1 + _DRIFT) * early_high and early_low <= (1 + _DRIFT) * late_high:
        return None
    change = percentile(late, 50) / percentile(early, 50) - 1
    return f"the canary changed by {change:+.0%} during a launch: the clock or another load changed"


def spoiled(measurement: Measurement) -> tuple[str, ...]:
    """Why a measurement's milliseconds say nothing: it is invalid, or one of its launches drifted."""
    drifts = [drift(launch) for launch in measurement.launches]
    return (*measurement.invalid, *dict.fromkeys(found for found in drifts if found))


def wavering(measurement: Measurement) -> float | None:
    """How far apart the launches' medians of the canary are, as a fraction of the least; None without a canary."""
    medians = [percentile(launch.canary_ms, 50) for launch in measurement.launches if launch.canary_ms]
    return max(medians) / min(medians) - 1 if medians and min(medians) > 0 else None


def _drifted(before: float | None, after: float | None) -> bool:
    """Whether a figure changed by more than 3 %; never where it isn't told."""
    return before is not None and after is not None and abs(after - before) > _DRIFT * min(before, after)
