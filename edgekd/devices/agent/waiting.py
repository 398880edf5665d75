"""How long this process's threads have waited for a CPU that other work had, as Linux counts it.

Source: `/proc/PID/task/TID/schedstat`, whose second number is the nanoseconds spent waiting on a run queue
(Documentation/scheduler/sched-stats.rst of the Linux kernel).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import sysfs
else:  # on a device this folder is all there is
    import sysfs

_WAITED = 1


def waited_ns() -> dict[str, int]:
    """Of each thread of this process, by its id; empty where the system doesn't count it."""
    counts = {file.parent.name: sysfs.text(file).split() for file in sysfs.found("proc/self/task", "*/schedstat")}
    return {thread: int(fields[_WAITED]) for thread, fields in counts.items() if len(fields) > _WAITED}


def longest_ms(before: dict[str, int], after: dict[str, int]) -> float | None:
    """The wait between two counts of the thread that waited longest; None where the system doesn't count it."""
    waits = [now - before.get(thread, now) for thread, now in after.items()]
    return max(waits) / 1e6 if waits else None
