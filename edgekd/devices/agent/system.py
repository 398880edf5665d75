"""What a device says about itself: hardware, clocks, memory. None where the system doesn't tell."""

from __future__ import annotations

import gc
import hashlib
import os
import platform
import sys
from pathlib import Path

_ARCHITECTURES = {"amd64": "x86_64", "arm64": "aarch64"}
_CPUS = Path("/sys/devices/system/cpu")


def describe() -> dict[str, str | int | None]:
    """The fields of `schema.Environment` that don't depend on the runtime."""
    machine = platform.machine().lower()
    return {
        # told apart, not told: a measurement may be published
        "machine": hashlib.sha256(platform.node().encode()).hexdigest()[:12],
        "arch": _ARCHITECTURES.get(machine, machine),
        "os": "android" if "ANDROID_ROOT" in os.environ else platform.system().lower(),
        "cpu": _cpu() or platform.processor() or "unknown",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": _kilobytes("/proc/meminfo", "MemTotal"),
        "governor": governor(),
        "python": platform.python_version(),
    }


def governor() -> str | None:
    """What sets the CPUs' clocks, such as "performance"; several if the CPUs differ."""
    found = {_read(file).strip() for file in _CPUS.glob("cpu[0-9]*/cpufreq/scaling_governor")} - {""}
    return ",".join(sorted(found)) or None


def throttle_count() -> int | None:
    """How often the CPUs have throttled since the system started."""
    counts = [_read(file).strip() for file in _CPUS.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")]
    return sum(int(count) for count in counts if count.isdigit()) if counts else None


def mark_memory() -> int | None:
    """Forget the highest memory use so far; the use from which `peak_bytes` counts."""
    gc.collect()
    if sys.platform != "linux":
        return _highest_use()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None  # with the old high-water mark, an increase can't be told
    return _kilobytes("/proc/self/status", "VmRSS")


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


def _cpu() -> str | None:
    """The processor's name; a board's name where processors have none (ARM)."""
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return _read(Path("/proc/device-tree/model")).strip("\0\n ") or None


def _kilobytes(file: str, key: str) -> int | None:
    """The value of a line like `MemTotal:  16384256 kB`, in bytes."""
    for line in _read(Path(file)).splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
