"""The state of a device at one moment: clocks, temperatures, power, throttling. Empty where the system does not report
it.

Sources: Linux's sysfs (cpufreq, thermal, thermal_throttle); on a Jetson also the over-current counters of the
`soctherm_oc` driver and the monitors of the rails.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import alarms, android, clocks, power_mode, protocol, rails, raspberry_pi, sysfs
else:  # on a device this folder is all there is
    import alarms
    import android
    import clocks
    import power_mode
    import protocol
    import rails
    import raspberry_pi
    import sysfs

_CANARY_S = 0.002
_CANARY_WORK = bytes(16_384)


def state() -> protocol.State:
    """The device's current state."""
    heat, firmware = android.thermal(), raspberry_pi.throttled()
    alarmed = [alarm.cause for alarm in alarms.alarms() if alarm.is_on()]
    return protocol.State(
        clocks_mhz=tuple(clocks.cpu_mhz()),
        clock_limit_mhz=clocks.cpu_limit_mhz(),
        governor=clocks.governor(),
        temperatures_c={**temperatures_c(), **dict(heat.temperatures_c)},
        throttle_count=throttle_count(),
        throttled_by=tuple(dict.fromkeys((*alarmed, *firmware.now, *heat.causes))),
        throttled_since_boot=firmware.since_boot,
        gpu_clock_mhz=clocks.gpu_mhz(),
        gpu_clock_limit_mhz=clocks.gpu_limit_mhz(),
        over_current=over_current(),
        rails_w={rail.label: watts for rail in rails.rails() for watts in [rail.watts()] if watts is not None},
        charging=android.charging(),
        power_mode=power_mode.power_mode(),
        clocks_locked=clocks.locked(),
    )


def temperatures_c() -> dict[str, float]:
    """Temperatures of the thermal zones by type; the highest of each type."""
    found: dict[str, float] = {}
    for zone in sysfs.found("sys/class/thermal", "thermal_zone*"):
        value, name = sysfs.number(zone / "temp"), sysfs.text(zone / "type") or zone.name
        if value is not None:
            found[name] = max(value / 1e3, found.get(name, value / 1e3))
    return found


def throttle_count() -> int | None:
    """Number of throttling events since boot, summed over all counters but those of over-current."""
    counts = [
        sysfs.number(file)
        for file in sysfs.found("sys/devices/system/cpu", "cpu[0-9]*/thermal_throttle/*_throttle_count")
    ]
    known = [count for count in counts if count is not None]
    return int(sum(known)) if known else None


def over_current() -> dict[str, int]:
    """How often each over-current alarm of a Jetson has throttled it since boot, such as {"oc1": 0, "oc3": 4}."""
    found = {}
    for monitor in sysfs.found("sys/class/hwmon", "hwmon*"):
        if sysfs.text(monitor / "name") == "soctherm_oc":
            for file in sysfs.found(monitor, "oc*_event_cnt"):
                count = sysfs.number(file)
                if count is not None:
                    found[file.name.partition("_")[0]] = int(count)
    return found


def canary_ms() -> float:
    """The minimum time of repeatedly hashing the same 16 kB: it depends on little but the clock."""
    clock, end, least = time.perf_counter_ns, time.monotonic() + _CANARY_S, 1 << 62
    while time.monotonic() < end:
        start = clock()
        hashlib.sha256(_CANARY_WORK).digest()
        least = min(least, clock() - start)
    return least / 1e6
