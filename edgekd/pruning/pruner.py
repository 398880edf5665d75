"""Prunes one network at several ratios, in a child process under a time and memory limit. Imports no torch."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekd import errors
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.worker import Worker, WorkerError

UNPRUNED = "Give --ratio 0 (in a recipe: prune.ratio = 0) to go on without pruning, or take a plain CNN."


@dataclass(frozen=True)
class Pruned:
    """A student in files: safetensors, and the JSON of the `zoo.definition.Definition` that it is rebuilt from."""

    ratio: float
    weights: Path
    structure: Path
    parameters: int
    nonzero: int
    """How many of the parameters aren't zero."""
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
        structure: what is left of the network after an earlier pruning, which the weights are then of.
        method: a module of `pruning.methods`.
        options: its further settings; what isn't stated has the method's default.
        calibration: training images for methods that judge by data: safetensors with "images" (N, C, H, W) float32,
            normalised, and "labels" (N,) int64.
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
        structure: Path | None = None,
        method: str,
        options: Mapping[str, float | str] | None = None,
        calibration: Path | None = None,
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
            "structure": str(structure) if structure is not None else None,
            "method": method,
            "options": dict(options or {}),
            "calibration": str(calibration) if calibration is not None else None,
            "block": block,
            "memory_bytes": memory_bytes,
        }
        self._timeout_s = timeout_s
        self._memory_bytes = memory_bytes

    def __enter__(self) -> Self:
        # -P and the path: what can be imported here can be imported there, and nothing else
        command = [sys.executable, "-P", "-m", "edgekd.pruning.child"]
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

    def levels(self, *, costs: Mapping[str, float] | None = None) -> tuple[float, ...]:
        """The ratios that give different networks, rising from 0.0; raises as `prune`."""
        return tuple(self._ask({"do": "levels", "costs": dict(costs or {})})["levels"])

    def blocks(self) -> dict[str, float]:
        """The blocks that can go, each with the ratio of blocks that are gone once it is; raises as `prune`."""
        return dict(self._ask({"do": "blocks"})["blocks"])

    def prune(
        self,
        ratio: float,
        folder: Path,
        *,
        options: Mapping[str, float | str] | None = None,
        costs: Mapping[str, float] | None = None,
    ) -> Pruned:
        """Prune `ratio` of the unpruned network and write the student to `folder`.

        Args:
            ratio: in [0, 1), of the network before anything was pruned.
            folder: for the student's files.
            options: in place of those of the same names that the pruner was made with.
            costs: milliseconds that the network saves without a block, by the block's name.

        Raises:
            UnsupportedModelError: the network can't be pruned so, or not within the limits.
            EdgekdError: the method has no such option, or as `zoo.build` and `zoo.weights` raise.
        """
        request = {"do": "prune", "ratio": ratio, "folder": str(folder)}
        answer = self._ask({**request, "options": dict(options or {}), "costs": dict(costs or {})})
        return Pruned(
            ratio=ratio,
            weights=Path(answer["weights"]),
            structure=Path(answer["structure"]),
            parameters=answer["parameters"],
            nonzero=answer["nonzero"],
            macs=answer["macs"],
        )

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
