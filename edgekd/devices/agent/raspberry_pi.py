"""What a Raspberry Pi's firmware says of throttling. Nothing on other boards.

Sources: `vcgencmd get_throttled` (its bits in Raspberry Pi's documentation), or the kernel's copy of them in older
kernels; the alarm of the kernel's `rpi_volt` driver, which any user may read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import commands, sysfs
else:  # on a device this folder is all there is
    import commands
    import sysfs

UNDER_VOLTAGE = "under-voltage"

# bits 0 to 3: current conditions; bits 16 to 19: the same conditions since boot
_CONDITIONS = (UNDER_VOLTAGE, "the CPU's clock capped", "throttled", "the soft temperature limit")


@dataclass(frozen=True)
class Throttled:
    """Conditions under which the firmware lowers the clock."""

    now: tuple[str, ...]
    """The kernel's alarm stays on for two seconds after under-voltage."""
    since_boot: tuple[str, ...] | None
    """None if the firmware's bits can't be read."""


def throttled() -> Throttled:
    """The current conditions, and those that there have been since boot."""
    bits = _bits()
    now, since = _named(bits or 0), None if bits is None else tuple(_named(bits >> 16))
    under_voltage = [UNDER_VOLTAGE] if _alarm() and UNDER_VOLTAGE not in now else []
    return Throttled((*under_voltage, *now), since)


def _named(bits: int) -> list[str]:
    return [what for bit, what in enumerate(_CONDITIONS) if bits >> bit & 1]


def _bits() -> int | None:
    if not sysfs.text(sysfs.path("proc/device-tree/model")).startswith("Raspberry Pi"):
        return None
    texts = [commands.output("vcgencmd", "get_throttled").partition("=")[2]]
    texts += [sysfs.text(file) for file in sysfs.found("sys/devices/platform", "soc*/soc*:firmware/get_throttled")]
    for text in texts:
        try:
            return int(text, 16)
        except ValueError:
            continue
    return None


def _alarm() -> bool:
    return any(
        sysfs.text(monitor / "name") == "rpi_volt" and sysfs.number(monitor / "in0_lcrit_alarm") == 1
        for monitor in sysfs.found("sys/class/hwmon", "hwmon*")
    )
