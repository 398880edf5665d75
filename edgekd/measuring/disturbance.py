"""Disturbances of a device during a measurement that make its latencies invalid.

Throttling and clock changes invalidate the whole measurement, and so do other programs that take the CPU: short
inferences fit between their turns and long ones don't, so that ratios are wrong as well. Drift, which the canary shows,
invalidates absolute latencies, but not the ratio of artifacts that took turns: it affects all of them equally.
"""

from statistics import median

from edgekd.measuring.statistics import lower_bound, percentile, upper_bound
from edgekd.values import Host, Launch, Measurement, State

_DRIFT = 0.03
_WAITED = 0.05
"""Of the inferences' time in a turn: a median is wrong by no more than that."""

EMULATED = "emulated: another processor runs the device's instructions, and takes longer or shorter than the device"
"""Why no time of an emulated device is valid."""


def disturbances(before: State, after: State) -> tuple[str, ...]:
    """Why everything measured between two states is invalid; empty if nothing happened."""
    reasons = []
    throttled = (after.throttle_count or 0) - (before.throttle_count or 0)
    if throttled > 0:
        reasons.append(f"the device throttled {throttled} times during the measurement")
    for alarm, count in after.over_current.items():
        if (more := count - before.over_current.get(alarm, 0)) > 0:
            reasons.append(f"over-current alarm {alarm} throttled the device {more} times during the measurement")
    new = {*(after.throttled_since_boot or ())} - {*(before.throttled_since_boot or ())}
    if slowed := sorted({*before.throttled_by, *after.throttled_by, *new}):
        reasons.append(f"the device was slowed down by {', '.join(slowed)}")
    reasons += [
        f"the {what} changed from {_shown(old)} to {_shown(now)}"
        for what, old, now in (
            ("clock governor", before.governor, after.governor),
            ("power mode", before.power_mode, after.power_mode),
        )
        if old != now
    ]
    if before.clocks_locked != after.clocks_locked:
        reasons.append(f"the clocks were {'locked' if after.clocks_locked else 'released'} during the measurement")
    if _drifted(before.clock_limit_mhz, after.clock_limit_mhz):
        change = f"from {before.clock_limit_mhz:g} to {after.clock_limit_mhz:g} MHz"
        reasons.append(f"the clock limit changed {change}")
    if _drifted(before.gpu_clock_limit_mhz, after.gpu_clock_limit_mhz):
        change = f"from {before.gpu_clock_limit_mhz:g} to {after.gpu_clock_limit_mhz:g} MHz"
        reasons.append(f"the GPU's clock limit changed {change}")
    return tuple(reasons)


def contention(launch: Launch) -> tuple[str, ...]:
    """Why a launch is invalid if its inferences waited for a CPU for more than 5 % of their time in half of its turns;
    else empty. Medians hardly feel what happens in fewer.
    """
    turns = zip(launch.waited_ms, launch.blocks_ms, strict=False)
    parts = [waited / sum(block) for waited, block in turns]
    if not parts or median(parts) <= _WAITED:
        return ()
    return (f"other programs ran on the CPU: inferences waited for it for more than {_WAITED:.0%} of their time",)


def changes(before: Host, after: Host) -> tuple[str, ...]:
    """How a device's system and settings differ between two launches, such as "power mode from MAXN to 15W"."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in type(before).model_fields)
    return tuple(
        f"{name.replace('_', ' ')} from {_shown(old)} to {_shown(now)}" for name, old, now in pairs if old != now
    )


def _shown(value: object) -> str:
    return {None: "not reported", True: "yes", False: "no"}[value] if value in (None, True, False) else str(value)


def drift(launch: Launch) -> str | None:
    """The canary's change between the halves of a launch, if it is significant and exceeds 3 %; otherwise None.

    Significant: the 95 % bounds of the halves' medians are that far apart. A merely fluctuating clock isn't drift; it
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
    """Why a measurement's absolute latencies are invalid: the measurement is invalid, or a launch drifted."""
    drifts = [drift(launch) for launch in measurement.launches]
    return (*measurement.invalid, *dict.fromkeys(found for found in drifts if found))


def wavering(measurement: Measurement) -> float | None:
    """The spread of the launches' canary medians, as a fraction of the smallest; None for fewer than two."""
    medians = [percentile(launch.canary_ms, 50) for launch in measurement.launches if launch.canary_ms]
    return max(medians) / min(medians) - 1 if len(medians) > 1 and min(medians) > 0 else None


def _drifted(before: float | None, after: float | None) -> bool:
    """Whether a value changed by more than 3 %; False if it isn't reported."""
    return before is not None and after is not None and abs(after - before) > _DRIFT * min(before, after)
