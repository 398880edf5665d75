"""Runs an artifact over many inputs for its outputs, not for its time: on all CPUs at once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol
else:  # on a device this folder is all there is
    import protocol


class Evaluation:
    """An artifact that takes one input at a time, opened once for each CPU."""

    def __init__(self, runtime: Any, request: protocol.Evaluate) -> None:
        self.opened = (request.path, request.options)
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        first = runtime.open(request.path, **request.options)
        names = [one["name"] for one in first.inputs()]
        if len(names) != 1:
            raise ValueError(f"it takes {len(names)} inputs ({', '.join(names)}), and only one input can be evaluated")
        self._name = names[0]
        self._sessions = [first, *(runtime.open(request.path, **request.options) for _ in range(cpus - 1))]
        self._pool = ThreadPoolExecutor(cpus)

    def outputs(self, request: protocol.Evaluate, frame: bytes) -> tuple[protocol.Evaluated, memoryview]:
        """The first output of every input, in their order."""
        import numpy as np  # here: a missing runtime, which would bring it, is reported in plain words

        inputs = np.frombuffer(frame, request.inputs.dtype).reshape(request.inputs.shape)
        parts = np.array_split(inputs, len(self._sessions))
        found = [one for part in self._pool.map(self._run, self._sessions, parts) for one in part]
        outputs = np.ascontiguousarray(np.concatenate(found))
        array = protocol.Array(outputs.dtype.name, outputs.shape)
        return protocol.Evaluated(array, self._sessions[0].provider), outputs.reshape(-1).view(np.uint8).data

    def close(self) -> None:
        """End the threads; the sessions go with their last use."""
        self._pool.shutdown()

    def _run(self, session: Any, inputs: Any) -> list[Any]:
        # a runtime may give its own memory, which the next inference overwrites
        return [session.run({self._name: one[None]})[0].copy() for one in inputs]
