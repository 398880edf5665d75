"""Prunes one network at several ratios, in a child process under a time and memory limit. Imports no torch."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekd import errors
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.worker import Worker, WorkerError

UNPRUNED = "Set prune.ratio = 0 in the recipe to go on without pruning, or take a plain convolutional network."


@dataclass(frozen=True)
class Pruned:
    """A student in files: safetensors, and the JSON of the `zoo.structure.Structure` that it is rebuilt from."""

    ratio: float
    weights: Path
    structure: Path
    parameters: int
    macs: int


class Pruner:
    """A network that is ready to be pruned. Use as a context manager.

    Args:
        model: its name, as `zoo.build` takes it.
        classes: its outputs.
        channels: of its images.
        height: of its images, in pixels.
        width: of its images, in pixels.
        weights: its weights; None for random ones, which do where only the structure matters.
        method: a module of `prune.methods`.
        block: channels that the runtime's kernels process together; widths become multiples of it.
        timeout_s: the most that opening the model, or one request, may take.
        memory_bytes: the most that the child may take.
    """

    def __init__(
        self,
        model: str,
        *,
        classes: int,
        channels: int,
        height: int,
        width: int,
        weights: Path | None,
        method: str,
        block: int,
        timeout_s: float,
        memory_bytes: int,
    ) -> None:
        self._asked = {
            "model": model,
            "classes": classes,
            "channels": channels,
            "height": height,
            "width": width,
            "weights": str(weights) if weights is not None else None,
            "method": method,
            "block": block,
            "memory_bytes": memory_bytes,
        }
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes

    def __enter__(self) -> Self:
        # -P and the path: what can be imported here can be imported there, and nothing else
        command = [sys.executable, "-P", "-m", "edgekd.prune.child"]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path)}
        self._worker = Worker(command, memory_bytes=self._memory_bytes, env=env)
        try:
            self._ask(self._asked)
        except BaseException:
            self._worker.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._worker.close()

    def levels(self) -> tuple[float, ...]:
        """The ratios that give different networks, rising from 0.0; raises as `prune`."""
        return tuple(self._ask({"do": "levels"})["levels"])

    def prune(self, ratio: float, folder: Path) -> Pruned:
        """Prune `ratio` of the unpruned network and write the student to `folder`.

        Raises:
            UnsupportedModelError: the network can't be pruned so, or not within the limits.
            EdgekdError: as `zoo.build` and `zoo.weights` raise.
        """
        answer = self._ask({"do": "prune", "ratio": ratio, "folder": str(folder)})
        return Pruned(ratio, Path(answer["weights"]), Path(answer["structure"]), answer["parameters"], answer["macs"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._worker.ask(request, self._timeout_s)
        except WorkerError as e:
            raise self._failed(e.kind, str(e)) from e
        if "failure" not in answer:
            return answer
        kind = getattr(errors, answer["failure"], None)
        if kind is None:
            raise self._failed(answer["failure"], "")
        raise kind(answer["message"], answer["hint"])

    def _failed(self, how: str, detail: str) -> EdgekdError:
        model = self._asked["model"]
        if how == "memory":
            message = f"{model} can't be pruned in {self._memory_bytes / 1e9:g} GB of memory"
            return UnsupportedModelError(message, f"{UNPRUNED} Or raise prune.memory_bytes.")
        if how == "timeout":
            message = f"{model} can't be pruned in {self._timeout_s:g} s"
            return UnsupportedModelError(message, f"{UNPRUNED} Or raise prune.timeout_s.")
        return UnsupportedModelError(f"{model} can't be pruned: the process that does it {detail}", UNPRUNED)
