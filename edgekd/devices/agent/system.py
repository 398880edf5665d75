"""Facts about the host, and memory use of a process. None where the system does not report it."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import android, board, clocks, power_mode, protocol, sysfs
else:  # on a device this folder is all there is
    import android
    import board
    import clocks
    import power_mode
    import protocol
    import sysfs

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_DEBIAN = {arch: name for name, arch in _ARCHITECTURES.items()}

# a container sees its host's device tree, but gets a new host name each time
_SERIALS = ("proc/device-tree/serial-number", "etc/machine-id")

# SIMD instructions for 8-bit integers (x86, Arm), half precision and bfloat16
_FEATURES = {
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "amx_bf16",
    "avx512_bf16",
    "asimd",
    "asimddp",
    "i8mm",
    "asimdhp",
    "bf16",
    "sve",
}


def describe() -> protocol.Host:
    """The host's hardware and operating system."""
    machine = platform.machine().lower()
    arch = _ARCHITECTURES.get(machine, machine)
    emulated = is_emulated(arch)
    return protocol.Host(
        # a hash, not the serial number: a measurement may be published
        machine=hashlib.sha256(_identity().encode()).hexdigest()[:12],
        arch=arch,
        os="android" if android.is_android() else platform.system().lower(),
        os_version=platform.release(),
        # an emulator shows the processor of the machine that it runs on
        cpu="emulated" if emulated else _cpu() or platform.processor() or "unknown",
        cpu_features=() if emulated else tuple(cpu_features()),
        cores=cores(),
        memory_bytes=_kilobytes("proc/meminfo", "MemTotal"),
        governor=clocks.governor(),
        python=platform.python_version(),
        emulated=emulated,
        board=board.model(),
        power_mode=power_mode.power_mode(),
        clocks_locked=clocks.locked(),
    )


def cores() -> int:
    """The CPUs that this process may keep busy: those it may run on, within the quota of its control group, beyond
    which it would be stopped for a part of each period.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = sysfs.text(sysfs.path("sys/fs/cgroup/cpu.max")).split() or [
        sysfs.text(sysfs.path(f"sys/fs/cgroup/cpu/cpu.cfs_{name}_us")).strip() for name in ("quota", "period")
    ]
    try:
        allowed = int(quota[0]) / int(quota[1])
    except (ValueError, IndexError, ZeroDivisionError):  # none is stated, or "max"
        return usable
    return max(1, min(usable, int(allowed))) if allowed > 0 else usable


def is_emulated(arch: str) -> bool:
    """Whether qemu-user translates an Arm program: `/proc/cpuinfo` is that of an x86 machine, or the one that newer
    versions write, whose implementer is 0, as no processor's is.
    """
    if arch != "aarch64":
        return False
    keys = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in _cpuinfo())}
    implementer = keys.get("CPU implementer", "0x41")
    return bool({"vendor_id", "flags"} & set(keys)) or implementer.strip("0x") == ""


def origin() -> str:
    """Which build of a runtime this Python has, if it was started by a dynamic loader of its own, as a bundle's is."""
    try:
        loader = os.path.basename(os.readlink("/proc/self/exe"))  # noqa: PTH119
    except OSError:
        return ""
    machine = platform.machine().lower()
    return f"Linux/{_DEBIAN.get(machine, machine)} build" if loader.startswith("ld-") else ""


def mark_memory() -> int | None:
    """Reset the peak memory counter; returns the baseline for `peak_bytes`."""
    gc.collect()
    if sys.platform != "linux":
        return _highest_use()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None  # without a reset, the increase is unknown
    return _kilobytes("proc/self/status", "VmRSS")


def available_bytes() -> int | None:
    """The available memory, within the limit of the control group; None if the system does not report it."""
    free = _kilobytes("proc/meminfo", "MemAvailable")
    most, taken = (sysfs.text(sysfs.path(f"sys/fs/cgroup/memory.{name}")).strip() for name in ("max", "current"))
    if free is None or not (most.isdigit() and taken.isdigit()):  # there is no limit: "max"
        return free
    return max(0, min(free, int(most) - int(taken)))


def peak_bytes(mark: int | None) -> int | None:
    """The peak memory of this process since `mark_memory`, minus the baseline.

    If the counter can't be reset (not Linux), it is the increase of the peak since the process started.
    """
    highest = _kilobytes("proc/self/status", "VmHWM") if sys.platform == "linux" else _highest_use()
    return None if mark is None or highest is None else max(0, highest - mark)


def _highest_use() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _identity() -> str:
    """A unique identity of this device: the board's serial number, the system's machine id, that of an Android device,
    or its host name, which is "localhost" on every Android device.
    """
    serials = (sysfs.text(sysfs.path(file)) for file in _SERIALS)
    return next((serial for serial in serials if serial), "") or android.serial() or platform.node()


def _cpu() -> str | None:
    """The processor's name; the board's name if the processor has none (Arm)."""
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return sysfs.text(sysfs.path("proc/device-tree/model")) or None


def cpus() -> protocol.UsableCpus:
    """The CPUs available to this process, and whether all are of one kind, as far as the system reports it."""
    kinds = clocks.clusters()
    # elsewhere each CPU can have a highest clock of its own: the fastest ones are no cluster
    several = len(kinds) > 1 and platform.machine().lower() in ("aarch64", "arm64", "armv7l", "armv8l")
    return protocol.UsableCpus(tuple(clocks.usable_cpus()), len(kinds) == 1, kinds if several else ())


def cpu_features() -> list[str]:
    """The first CPU's instruction sets that matter for quantised and half-precision kernels."""
    for line in _cpuinfo():
        key, _, words = line.partition(":")
        if key.strip().lower() in ("flags", "features"):  # x86, Arm
            return sorted(_FEATURES & set(words.split()))
    return []


def _cpuinfo() -> list[str]:
    return sysfs.text(sysfs.path("proc/cpuinfo")).splitlines()


def _kilobytes(file: str, key: str) -> int | None:
    """The value of a line like `MemTotal:  16384256 kB`, in bytes."""
    for line in sysfs.text(sysfs.path(file)).splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None
