"""Runs an artifact over many inputs on all CPUs to get its outputs; nothing is timed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol, system
else:  # on a device this folder is all there is
    import protocol
    import system

_SHARE = 0.5
"""Of the available memory that sessions may take as they are opened: running them takes more."""


class Evaluation:
    """An artifact of batch size one, opened once per CPU as far as the memory allows, or once for an accelerator."""

    def __init__(self, runtime: Any, path: str, options: dict[str, Any], sha256: tuple[str, ...]) -> None:
        self.opened = (path, options, sha256)
        mark = system.mark_memory()
        first = runtime.open(path, **options)
        taken = system.peak_bytes(mark)
        names = [one["name"] for one in first.inputs()]
        if len(names) != 1:
            raise ValueError(f"it has {len(names)} inputs ({', '.join(names)}); only models with one can be evaluated")
        self._name = names[0]
        # an accelerator is kept busy by one, and its memory may not hold several
        others = 0 if hasattr(first, "compute") else _others(taken)
        self._sessions = [first, *(runtime.open(path, **options) for _ in range(others))]
        self._pool = ThreadPoolExecutor(1 + others)

    def outputs(self, request: protocol.Evaluate, frame: bytes) -> tuple[protocol.Evaluated, memoryview]:
        """The wanted output for every input, in the same order."""
        import numpy as np  # imported late, so that a missing runtime (which brings numpy) is reported first

        inputs = np.frombuffer(frame, request.inputs.dtype).reshape(request.inputs.shape)
        parts, wanted = np.array_split(inputs, len(self._sessions)), [request.output] * len(self._sessions)
        found = [one for part in self._pool.map(self._run, self._sessions, parts, wanted) for one in part]
        if len({one.shape for one in found}) > 1:
            raise ValueError(f"the shape of its output {request.output} is not the same for every image")
        outputs = np.ascontiguousarray(np.concatenate(found))
        array = protocol.Array(outputs.dtype.name, outputs.shape)
        evaluated = protocol.Evaluated(array, self._sessions[0].provider, self.opened[2])
        return evaluated, outputs.reshape(-1).view(np.uint8).data

    def close(self) -> None:
        """Stop the threads; the sessions are freed with their last reference."""
        self._pool.shutdown()

    def _run(self, session: Any, inputs: Any, output: int) -> list[Any]:
        found = []
        for one in inputs:
            outputs = session.run({self._name: one[None]})
            if output >= len(outputs):
                raise ValueError(f"it gives {len(outputs)} of the outputs, and number {output + 1} is wanted")
            # a runtime may return its own buffer, which the next inference overwrites
            found.append(outputs[output].copy())
        return found


def _others(taken: int | None) -> int:
    """How many sessions fit beside the first one, which took so many bytes."""
    cpus, room = system.cores() - 1, system.available_bytes()
    return min(cpus, int(_SHARE * room / taken)) if taken and room is not None else cpus
