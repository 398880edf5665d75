"""What a Raspberry Pi's firmware says of throttling. Nothing on other boards.

Sources: `vcgencmd get_throttled` (its bits in Raspberry Pi's documentation), or the kernel's copy of them in older
kernels.
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
    since_boot: tuple[str, ...] | None
    """None if the firmware's bits can't be read."""


def throttled() -> Throttled:
    """The current conditions, and those that there have been since boot."""
    bits = _bits()
    return Throttled(_named(bits or 0), None if bits is None else _named(bits >> 16))


def _named(bits: int) -> tuple[str, ...]:
    return tuple(what for bit, what in enumerate(_CONDITIONS) if bits >> bit & 1)


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
