"""The CPU, and who waits for whom: threads of this process that spin after an inference would take it from the artifact
whose turn is next, and other programs take it from this one.

Source: `/proc/PID/task/TID/schedstat`, whose second number is the nanoseconds spent waiting on a run queue
(Documentation/scheduler/sched-stats.rst of the Linux kernel).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.devices.agent import sysfs
else:  # on a device this folder is all there is
    import sysfs

_WAITED = 1
_LOOK_S = 0.001
_PATIENCE_S = 0.5


def until_idle() -> None:
    """Returns when no other thread of this process runs: those of ONNX Runtime wait for more work actively for some
    40 ms, those of OpenMP for some 10.
    """
    own, end = str(threading.get_native_id()), time.monotonic() + _PATIENCE_S
    while any(thread != own and state == "R" for thread, state in _states().items()) and time.monotonic() < end:
        time.sleep(_LOOK_S)


def _states() -> dict[str, str]:
    """Of each thread, by its id, such as "R" for running; empty where the system doesn't say it."""
    texts = {file.parent.name: sysfs.text(file) for file in sysfs.found("proc/self/task", "*/stat")}
    # the name before it may have spaces and brackets of its own
    return {thread: text.rpartition(")")[2].split()[0] for thread, text in texts.items() if ") " in text}


def waited_ns() -> dict[str, int]:
    """Of each thread of this process, by its id; empty where the system doesn't count it."""
    counts = {file.parent.name: sysfs.text(file).split() for file in sysfs.found("proc/self/task", "*/schedstat")}
    return {thread: int(fields[_WAITED]) for thread, fields in counts.items() if len(fields) > _WAITED}


def longest_ms(before: dict[str, int], after: dict[str, int]) -> float | None:
    """The wait between two counts of the thread that waited longest; None where the system doesn't count it."""
    waits = [now - before.get(thread, now) for thread, now in after.items()]
    return max(waits) / 1e6 if waits else None
