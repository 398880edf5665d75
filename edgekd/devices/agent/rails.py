"""The power rails of a Jetson, from its INA3221 monitors. Empty on other devices.

JetPack 5 and later have hwmon's files (millivolts and milliamperes), JetPack 4 those of an iio driver (milliwatts). The
carrier board of a Thor has an INA238 beside it (microwatts), which measures what the whole board takes.
Sources: NVIDIA's Jetson Linux Developer Guide, "Software-Based Power Consumption Modeling" of each module; Linux's
documentation of the drivers ina3221 and ina238.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.devices.agent import sysfs
else:  # on a device this folder is all there is
    import sysfs

# input rails that supply all others: Xavier NX, Orin NX and Orin Nano; Nano
_WHOLE_MODULE = ("VDD_IN", "POM_5V_IN")
_PART_OF = {"VDDQ_VDD2_1V8AO": "VIN_SYS_5V0"}  # AGX Orin: the memory is supplied by the system's rail
_BOARD = "VIN"  # Thor: what the carrier board takes, module included
_UNUSED = ("", "NC")


@dataclass(frozen=True)
class Rail:
    """A rail's files, whose product is its power."""

    label: str
    files: tuple[Path, ...]
    watts_per_unit: float

    def watts(self) -> float | None:
        """The power now; None if it can't be read."""
        product = self.watts_per_unit
        for file in self.files:
            value = sysfs.number(file)
            if value is None:
                return None
            product *= value
        return product


def rails() -> list[Rail]:
    """The rails that are connected and can be read."""
    found = {rail.label: rail for rail in (*_hwmon(), *_iio(), *_carrier())}
    return [rail for rail in found.values() if rail.label not in _UNUSED and rail.watts() is not None]


def whole() -> list[Rail]:
    """The rails whose sum is the module's power: the one that feeds all others, else all that don't feed another."""
    found = [rail for rail in rails() if rail.label != _BOARD]
    labels = {rail.label for rail in found}
    total = [rail for rail in found if rail.label in _WHOLE_MODULE]
    return total[:1] or [rail for rail in found if _PART_OF.get(rail.label) not in labels]


def _hwmon() -> list[Rail]:
    return [
        Rail(
            sysfs.text(monitor / f"in{port}_label"), (monitor / f"in{port}_input", monitor / f"curr{port}_input"), 1e-6
        )
        for monitor in sysfs.found("sys/bus/i2c/drivers/ina3221", "*/hwmon/hwmon*")
        for port in (1, 2, 3)  # port 7 is the sum of the shunts, no rail
    ]


def _iio() -> list[Rail]:
    return [
        Rail(sysfs.text(monitor / f"rail_name_{port}"), (monitor / f"in_power{port}_input",), 1e-3)
        for monitor in sysfs.found("sys/bus/i2c/drivers/ina3221x", "*/iio:device*")
        for port in (0, 1, 2)
    ]


def _carrier() -> list[Rail]:
    return [
        Rail(_BOARD, (monitor / "power1_input",), 1e-6)
        for monitor in sysfs.found("sys/bus/i2c/drivers/ina238", "*/hwmon/hwmon*")
    ]
