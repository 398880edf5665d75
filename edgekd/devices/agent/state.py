"""The state of a device at one moment: clocks, temperatures, throttling. Empty where the system does not report it.

Sources: Linux's sysfs (cpufreq, thermal, thermal_throttle); on a Raspberry Pi the firmware's `get_throttled` bits; on a
Jetson the over-current counters of the `soctherm_oc` driver.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.devices.agent import protocol, sysfs
else:  # on a device this folder is all there is
    import protocol
    import sysfs

_CANARY_S = 0.002
_CANARY_WORK = bytes(16_384)

# bits 0 to 3 of get_throttled: current conditions; bits 16 to 19: the same conditions since boot
_PI = ("under-voltage", "the CPU's clock capped", "throttled", "the soft temperature limit")


def state() -> protocol.State:
    """The device's current state."""
    return protocol.State(
        clocks_mhz=tuple(clocks_mhz()),
        clock_limit_mhz=clock_limit_mhz(),
        governor=governor(),
        temperatures_c=temperatures_c(),
        throttle_count=throttle_count(),
        throttled_by=tuple(throttled_by()),
    )


def clocks_mhz() -> list[float]:
    """Each CPU's current clock."""
    found = [sysfs.number(file) for file in _cpus("cpufreq/scaling_cur_freq")]
    return [khz / 1e3 for khz in found if khz is not None]


def clock_limit_mhz() -> float | None:
    """The highest clock currently allowed: overheating or a power mode can lower it."""
    found = [khz for khz in map(sysfs.number, _cpus("cpufreq/scaling_max_freq")) if khz is not None]
    return max(found) / 1e3 if found else None


def governor() -> str | None:
    """The CPUs' frequency governor, such as "performance"; several, with commas, if the CPUs differ."""
    found = {sysfs.text(file) for file in _cpus("cpufreq/scaling_governor")} - {""}
    return ",".join(sorted(found)) or None


def temperatures_c() -> dict[str, float]:
    """Temperatures of the thermal zones by type; the highest of each type."""
    found: dict[str, float] = {}
    for zone in sorted((sysfs.SYS / "class/thermal").glob("thermal_zone*")):
        value, name = sysfs.number(zone / "temp"), sysfs.text(zone / "type") or zone.name
        if value is not None:
            found[name] = max(value / 1e3, found.get(name, value / 1e3))
    return found


def throttle_count() -> int | None:
    """Number of throttling events since boot, summed over all counters."""
    counts = [sysfs.number(file) for file in _cpus("thermal_throttle/*_throttle_count")]
    for monitor in (sysfs.SYS / "class/hwmon").glob("hwmon*"):
        if sysfs.text(monitor / "name") == "soctherm_oc":
            counts += [sysfs.number(file) for file in monitor.glob("oc*_event_cnt")]
    bits = _pi_bits()
    if bits is not None:
        counts.append(bin(bits >> 16 & 15).count("1"))
    known = [count for count in counts if count is not None]
    return int(sum(known)) if known else None


def throttled_by() -> list[str]:
    """The current causes of throttling."""
    bits = _pi_bits() or 0
    return [what for bit, what in enumerate(_PI) if bits >> bit & 1]


def canary_ms() -> float:
    """The minimum time of repeatedly hashing the same 16 kB: it depends on little but the clock."""
    clock, end, least = time.perf_counter_ns, time.monotonic() + _CANARY_S, 1 << 62
    while time.monotonic() < end:
        start = clock()
        hashlib.sha256(_CANARY_WORK).digest()
        least = min(least, clock() - start)
    return least / 1e6


def _cpus(pattern: str) -> list[Path]:
    return sorted((sysfs.SYS / "devices/system/cpu").glob("cpu[0-9]*/" + pattern))


def _pi_bits() -> int | None:
    text = sysfs.text(sysfs.SYS / "devices/platform/soc/soc:firmware/get_throttled")
    try:
        return int(text, 16)
    except ValueError:
        return None
