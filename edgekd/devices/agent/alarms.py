"""Files of the system that are above 0 while the device is being slowed down. None on most devices.

Sources: the throttle alerts of a Jetson; the alarm of the driver `rpi_volt` on a Raspberry Pi, which stays on for two
seconds after under-voltage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.devices.agent import raspberry_pi, sysfs
else:  # on a device this folder is all there is
    import raspberry_pi
    import sysfs


@dataclass(frozen=True)
class Alarm:
    """What slows the device down while the file is above 0."""

    cause: str
    file: Path

    def is_on(self) -> bool:
        """Whether it does now."""
        return (sysfs.number(self.file) or 0) > 0


def alarms() -> list[Alarm]:
    """Those that the device has: finding them takes longer than reading them."""
    found = [
        Alarm(f"heat ({name})", device / "cur_state")
        for device in sysfs.found("sys/class/thermal", "cooling_device*")
        for name in [sysfs.text(device / "type")]
        if name.endswith("-throttle-alert")
    ]
    found += [
        Alarm(raspberry_pi.UNDER_VOLTAGE, monitor / "in0_lcrit_alarm")
        for monitor in sysfs.found("sys/class/hwmon", "hwmon*")
        if sysfs.text(monitor / "name") == "rpi_volt"
    ]
    return found


class Watch:
    """The alarms that have been on at one of the times when somebody looked."""

    def __init__(self) -> None:
        self._alarms = alarms()
        self.causes: set[str] = set()

    def look(self) -> None:
        """Read them all; it takes well under a millisecond."""
        self.causes.update(alarm.cause for alarm in self._alarms if alarm.is_on())
