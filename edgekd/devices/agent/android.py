"""What Android reports of its state, by programs that the shell's user may call without root. Empty on other systems.

Sources: what AOSP's ThermalManagerService and BatteryService write for `dumpsys`; android.os.Temperature's numbers.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import commands
else:  # on a device this folder is all there is
    import commands

_STATUSES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")
_STATUS = re.compile(r"^\s*Thermal Status:\s*(\d)", re.MULTILINE)
_OVERRIDDEN = re.compile(r"^\s*IsStatusOverride:\s*true", re.MULTILINE)
_FROM_HARDWARE = "Current temperatures from HAL:"  # before it stand those of some earlier time
_SENSOR = re.compile(r"Temperature\{mValue=(-?[\d.]+), mType=(-?\d+), mName=([^,}]+), mStatus=(\d+)\}")
_CPU, _SKIN = 0, 3
_TEMPERATURES = (_CPU, 1, 2, _SKIN, 9)  # with GPU, battery and NPU; other types are voltages, currents, percentages

_POWERED = re.compile(r"^\s*(?:AC|USB|Wireless|Dock) powered:\s*(true|false)", re.MULTILINE)


@dataclass(frozen=True)
class Thermal:
    """What slows the device down, and its temperatures by sensor."""

    causes: tuple[str, ...] = ()
    temperatures_c: tuple[tuple[str, float], ...] = ()


def is_android() -> bool:
    """Whether this is Android."""
    return "ANDROID_ROOT" in os.environ


def serial() -> str:
    """The serial number; empty on other systems."""
    return commands.output("getprop", "ro.serialno") if is_android() else ""


def thermal() -> Thermal:
    """The thermal status: that of the device, and that of its CPUs, which are throttled before the device is hot."""
    if not is_android():
        return Thermal()
    text = commands.output("dumpsys", "thermalservice")
    overall, overridden = _STATUS.search(text), _OVERRIDDEN.search(text)
    causes = []
    if overall and not overridden and int(overall[1]):
        causes.append(f"Android's thermal status {_status(overall[1])}")
    sensors = _SENSOR.findall(text.partition(_FROM_HARDWARE)[2])
    # `cmd thermalservice override-status` replaces the device's status, not those of the sensors
    telling = (_CPU, _SKIN) if overridden else (_CPU,)
    causes += [
        f"the thermal status {_status(status)} of {name}"
        for _, kind, name, status in sensors
        if int(kind) in telling and int(status)
    ]
    found = tuple((name, float(celsius)) for celsius, kind, name, _ in sensors if int(kind) in _TEMPERATURES)
    return Thermal(tuple(causes), found)


def charging() -> bool | None:
    """Whether it is supplied from outside, which warms its battery."""
    found = _POWERED.findall(commands.output("dumpsys", "battery")) if is_android() else []
    return "true" in found if found else None


def power_mode() -> str | None:
    """The battery saver, if it is on."""
    saving = is_android() and commands.output("settings", "get", "global", "low_power") == "1"
    return "battery saver" if saving else None


def _status(number: str) -> str:
    return _STATUSES[min(int(number), len(_STATUSES) - 1)]
