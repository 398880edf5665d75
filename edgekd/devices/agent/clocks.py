"""Clocks of a device's CPUs and GPU, and its CPUs by kind. None or empty where the system does not report it.

Sources: Linux's cpufreq and cpu_capacity; devfreq for the GPU of a Jetson.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.devices.agent import android, protocol, sysfs
else:  # on a device this folder is all there is
    import android
    import protocol
    import sysfs

_CPUS = "sys/devices/system/cpu"
_AT_MAXIMUM = 0.97  # of the highest clock; drivers report a little less or more than was set

# devfreq devices of a Jetson's GPU, by a part of their name: Nano, Xavier and Orin up to JetPack 5; Orin; Thor
_GPUS = (".gm20b", ".gp10b", ".gv11b", ".ga10b", ".gpu", "gpu-gpc")


def cpu_mhz() -> list[float]:
    """Each CPU's current clock."""
    found = [sysfs.number(file) for file in _each_cpu("scaling_cur_freq")]
    return [khz / 1e3 for khz in found if khz is not None]


def cpu_limit_mhz() -> float | None:
    """The highest clock currently allowed: overheating or a power mode can lower it."""
    found = [khz for khz in map(sysfs.number, _each_cpu("scaling_max_freq")) if khz is not None]
    return max(found) / 1e3 if found else None


def governor() -> str | None:
    """The CPUs' frequency governor, such as "performance"; several, with commas, if the CPUs differ."""
    found = {sysfs.text(file) for file in _each_cpu("scaling_governor")} - {""}
    return ",".join(sorted(found)) or None


def gpu_mhz() -> float | None:
    """The current clock of a Jetson's GPU."""
    return _gpu_mhz("cur_freq")


def gpu_limit_mhz() -> float | None:
    """The highest clock currently allowed to a Jetson's GPU."""
    return _gpu_mhz("max_freq")


def locked() -> bool | None:
    """Whether a Jetson's CPUs and GPU are fixed at the highest clock of its power mode, as `jetson_clocks` does, or an
    Android device's CPUs at one clock, as its fixed-performance mode does.

    The lowest clock allowed is then the highest. That a GPU has it is read as well; what counters of idle CPUs report
    is not exact enough. None for other devices, or if it isn't reported.
    """
    gpus = _gpus()
    cpus = [file.parent for file in _each_cpu("scaling_max_freq")]
    if not cpus or not (gpus or android.is_android()):
        return None
    fixed = [_fixed(cpu, "scaling_min_freq", "scaling_max_freq") for cpu in cpus]
    fixed += [_fixed(gpu, "min_freq", "max_freq", "cur_freq") for gpu in gpus]
    known = [one for one in fixed if one is not None]
    return all(known) if known else None


def clusters() -> tuple[protocol.Cluster, ...]:
    """The CPUs available to this process by their kind, the fastest kind first.

    A kind has one capacity, as the scheduler knows it (Arm), and one highest clock.
    """
    kinds: dict[tuple[float, float], list[int]] = {}
    for cpu in usable_cpus():
        folder = sysfs.path(_CPUS) / f"cpu{cpu}"
        capacity = sysfs.number(folder / "cpu_capacity") or 0.0
        khz = sysfs.number(folder / "cpufreq/cpuinfo_max_freq") or 0.0
        kinds.setdefault((capacity, khz), []).append(cpu)
    return tuple(
        protocol.Cluster(tuple(cpus), khz / 1e3 if khz else None)
        for (_, khz), cpus in sorted(kinds.items(), reverse=True)
    )


def usable_cpus() -> list[int]:
    """The CPUs available to this process; empty if the system does not report them."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _each_cpu(file: str) -> list[Path]:
    return sysfs.found(_CPUS, f"cpu[0-9]*/cpufreq/{file}")


def _gpus() -> list[Path]:
    return [one for one in sysfs.found("sys/class/devfreq", "*") if any(part in one.name for part in _GPUS)]


def _gpu_mhz(file: str) -> float | None:
    found = [hz for hz in (sysfs.number(gpu / file) for gpu in _gpus()) if hz is not None]
    return max(found) / 1e6 if found else None


def _fixed(folder: Path, lowest: str, highest: str, current: str = "") -> bool | None:
    """Whether the clock can't be changed and, if it is known, is the highest; None if it isn't reported."""
    low, high = sysfs.number(folder / lowest), sysfs.number(folder / highest)
    now = sysfs.number(folder / current) if current else None
    if low is None or high is None:
        return None
    return low == high and (not now or now >= _AT_MAXIMUM * high)  # a GPU that is switched off reports 0
