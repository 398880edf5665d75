"""The state of a device at one moment: clocks, temperatures, power, throttling. Empty where the system does not report
it.

Sources: Linux's sysfs (cpufreq, thermal, thermal_throttle); on a Raspberry Pi the firmware's `get_throttled` bits; on a
Jetson the over-current counters of the `soctherm_oc` driver and the INA3221 monitors; on Android its services.
"""

from __future__ import annotations

import hashlib
import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import clocks, commands, protocol, rails, sysfs
else:  # on a device this folder is all there is
    import clocks
    import commands
    import protocol
    import rails
    import sysfs

_CANARY_S = 0.002
_CANARY_WORK = bytes(16_384)

# bits 0 to 3 of get_throttled: current conditions; bits 16 to 19: the same conditions since boot
_PI = ("under-voltage", "the CPU's clock capped", "throttled", "the soft temperature limit")

# android.os.PowerManager.THERMAL_STATUS_*
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_THERMAL_STATUS = re.compile(r"^\s*Thermal Status:\s*(\d)", re.MULTILINE)
_POWERED = re.compile(r"^\s*(?:AC|USB|Wireless|Dock) powered:\s*(true|false)", re.MULTILINE)


def state() -> protocol.State:
    """The device's current state."""
    return protocol.State(
        clocks_mhz=tuple(clocks.cpu_mhz()),
        clock_limit_mhz=clocks.cpu_limit_mhz(),
        governor=clocks.governor(),
        temperatures_c=temperatures_c(),
        throttle_count=throttle_count(),
        throttled_by=tuple(throttled_by()),
        gpu_clock_mhz=clocks.gpu_mhz(),
        gpu_clock_limit_mhz=clocks.gpu_limit_mhz(),
        over_current=over_current(),
        rails_w={rail.label: watts for rail in rails.rails() for watts in [rail.watts()] if watts is not None},
        charging=charging(),
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
    bits = _pi_bits()
    if bits is not None:
        counts.append(bin(bits >> 16 & 15).count("1"))
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


def throttled_by() -> list[str]:
    """The current causes of throttling."""
    bits = _pi_bits() or 0
    causes = [what for bit, what in enumerate(_PI) if bits >> bit & 1]
    status = _THERMAL_STATUS.search(commands.output("dumpsys", "thermalservice"))
    level = int(status[1]) if status else 0
    if level:
        causes.append(f"Android's thermal status {_THERMAL[min(level, len(_THERMAL) - 1)]}")
    return causes


def charging() -> bool | None:
    """Whether an Android device is supplied from outside, which warms its battery."""
    found = _POWERED.findall(commands.output("dumpsys", "battery"))
    return "true" in found if found else None


def canary_ms() -> float:
    """The minimum time of repeatedly hashing the same 16 kB: it depends on little but the clock."""
    clock, end, least = time.perf_counter_ns, time.monotonic() + _CANARY_S, 1 << 62
    while time.monotonic() < end:
        start = clock()
        hashlib.sha256(_CANARY_WORK).digest()
        least = min(least, clock() - start)
    return least / 1e6


def _pi_bits() -> int | None:
    """The firmware's bits, from the kernel or, where it does not have them, from the firmware's own program."""
    files = sysfs.found("sys/devices/platform", "soc*/soc*:firmware/get_throttled")
    texts = [sysfs.text(file) for file in files]
    if not any(texts) and sysfs.text(sysfs.path("proc/device-tree/model")).startswith("Raspberry Pi"):
        texts = [commands.output("vcgencmd", "get_throttled").partition("=")[2]]
    for text in texts:
        try:
            return int(text, 16)
        except ValueError:
            continue
    return None
