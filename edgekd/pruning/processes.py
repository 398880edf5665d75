"""Several processes that prune one network, so that all cores tell what many structures make of its loss."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self

import psutil

from edgekd.data.threads import cores
from edgekd.pruning.child.protocol import Opening
from edgekd.pruning.process import PruningProcess
from edgekd.pruning.space import Scores
from edgekd.values import Structure

_MOST = 4
"""Processes: a search proposes few structures at once, and more would wait for the memory of the machine."""

_LIMITS = ("memory.max", "memory.current")
"""Of a control group, in /sys/fs/cgroup where a container sees its own."""


class PruningProcesses:
    """One process that prunes, and further ones where there are cores and memory. Use as a context manager.

    Args:
        memory_bytes: the most that each process may take.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._stack = ExitStack()
        self._all = [self._stack.enter_context(PruningProcess(memory_bytes))]
        self._counted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def open(self, opening: Opening, *, timeout_s: float) -> PruningProcess:
        """The process that does what one alone can, with the network opened in it; raises as `PruningProcess.open`."""
        self._opening, self._timeout_s = opening, timeout_s
        self._all[0].open(opening, timeout_s=timeout_s)
        return self._all[0]

    def losses(self, structures: Sequence[Structure], scores: Scores, images: int) -> tuple[float | None, ...]:
        """As `PruningProcess.loss`, of each of these structures of the network that was opened last."""
        if len(structures) > 1 and not self._counted:
            self._counted = True
            further = min(_MOST, cores(), 1 + available_bytes() // self._memory_bytes) - 1
            self._all += [self._stack.enter_context(PruningProcess(self._memory_bytes)) for _ in range(further)]
        # as many for fewer processes, where memory is short: sums of other threads differ in their last digits
        threads = max(1, cores() // _MOST)
        free = SimpleQueue[PruningProcess]()
        for process in self._all:
            free.put(process)

        def loss(structure: Structure) -> float | None:
            process = free.get()
            try:
                process.open(self._opening, timeout_s=self._timeout_s)
                return process.loss(structure, scores, images, threads=threads)
            finally:
                free.put(process)

        with ThreadPoolExecutor(len(self._all)) as pool:
            return tuple(pool.map(loss, structures))


def available_bytes(group: Path = Path("/sys/fs/cgroup")) -> int:
    """The memory that can be taken without swapping, and within the limit of the control group."""
    free = int(psutil.virtual_memory().available)
    try:
        most, taken = (int((group / name).read_text()) for name in _LIMITS)
    except (OSError, ValueError):  # there is no limit: "max"
        return free
    return max(0, min(free, most - taken))
