"""What a device is, and the memory that a process takes. None where the system does not report it."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol, state, sysfs
else:  # on a device this folder is all there is
    import protocol
    import state
    import sysfs

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}

# a container has its host's device tree, but a name of its own every time
_SERIALS = ("/proc/device-tree/serial-number", "/etc/machine-id")

# instructions that multiply 8-bit integers several at once (x86, Arm), and those for halves and bfloat16
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
    """What the device is."""
    machine = platform.machine().lower()
    return protocol.Host(
        # a hash, not the serial number: a measurement may be published
        machine=hashlib.sha256(_identity().encode()).hexdigest()[:12],
        arch=_ARCHITECTURES.get(machine, machine),
        os="android" if "ANDROID_ROOT" in os.environ else platform.system().lower(),
        os_version=platform.release(),
        cpu=_cpu() or platform.processor() or "unknown",
        cpu_features=tuple(cpu_features()),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_kilobytes("/proc/meminfo", "MemTotal"),
        governor=state.governor(),
        python=platform.python_version(),
    )


def mark_memory() -> int | None:
    """Forget the highest memory use so far; the use from which `peak_bytes` counts."""
    gc.collect()
    if sys.platform != "linux":
        return _highest_use()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None  # with the old high-water mark, an increase isn't known
    return _kilobytes("/proc/self/status", "VmRSS")


def available_bytes() -> int | None:
    """The memory that can still be taken; None if the system does not report it."""
    return _kilobytes("/proc/meminfo", "MemAvailable")


def peak_bytes(mark: int | None) -> int | None:
    """The most memory that this process has used since `mark_memory`, beyond what it used then.

    Where the mark can't be reset (not Linux), it is what the highest use since the start has grown by.
    """
    highest = _kilobytes("/proc/self/status", "VmHWM") if sys.platform == "linux" else _highest_use()
    return None if mark is None or highest is None else max(0, highest - mark)


def _highest_use() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _identity() -> str:
    """What this one device has and no other: a board's serial number, the system's, or at least its name."""
    serials = (sysfs.text(Path(file)) for file in _SERIALS)
    return next((serial for serial in serials if serial), platform.node())


def _cpu() -> str | None:
    """The processor's name; a board's name where processors have none (ARM)."""
    for line in sysfs.text(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return sysfs.text(Path("/proc/device-tree/model")) or None


def cpus() -> protocol.UsableCpus:
    """The CPUs that this process may run on, and whether they are all of one kind, as far as the system reports it."""
    if not hasattr(os, "sched_getaffinity"):
        return protocol.UsableCpus((), alike=False)
    usable = sorted(os.sched_getaffinity(0))
    folders = [sysfs.SYS / "devices/system/cpu" / f"cpu{cpu}" for cpu in usable]
    kinds = {(sysfs.text(f / "cpufreq/cpuinfo_max_freq"), sysfs.text(f / "cpu_capacity")) for f in folders}
    return protocol.UsableCpus(tuple(usable), alike=len(kinds) == 1)


def cpu_features() -> list[str]:
    """Which of the instructions that quantised and half-precision kernels want the first CPU has."""
    for line in sysfs.text(Path("/proc/cpuinfo")).splitlines():
        key, _, words = line.partition(":")
        if key.strip().lower() in ("flags", "features"):  # x86, Arm
            return sorted(_FEATURES & set(words.split()))
    return []


def _kilobytes(file: str, key: str) -> int | None:
    """The value of a line like `MemTotal:  16384256 kB`, in bytes."""
    for line in sysfs.text(Path(file)).splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None
