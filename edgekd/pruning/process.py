"""Prunes networks, one at a time, in a child process under a time and memory limit. Imports no torch."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from edgekd import errors
from edgekd.errors import EdgekdError, PruningProcessError
from edgekd.pruning.child.protocol import (
    Failure,
    Judging,
    LossRequest,
    Opening,
    PrunedFiles,
    PruneRequest,
    Ready,
    ScoresRequest,
    SpaceRequest,
    StructureLoss,
)
from edgekd.pruning.space import Granularity, Scores, Space
from edgekd.values import Structure, Value
from edgekd.worker import Worker, WorkerError, of_module

V = TypeVar("V", bound=Value)

_ALLOCATING = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "1000000000", "MALLOC_TOP_PAD_": "64000000"}
"""How glibc allocates. By default it takes each large activation anew from the system, which clears its pages: of
MobileNetV2 on 32 images at 224 that took twice as long as computing it.
"""

_KILLED = "The system may have run out of memory: end other programs, and run the command again."

UNPRUNED = "Give --ratio 0 (in a recipe: search.ratio = 0) to continue without pruning, or take a plain CNN."


class PruningProcess:
    """A network that is ready to be pruned, once one was opened. Use as a context manager.

    The process starts for the first network, which takes longer than most requests, and again after it failed.

    Args:
        memory_bytes: the most that the process may take; of every network that is opened.
    """

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._worker: Worker | None = None
        self._opening: Opening | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def open(self, opening: Opening, *, timeout_s: float) -> None:
        """Make this the network that is pruned, unless it is already.

        Args:
            opening: which network.
            timeout_s: the most that opening it, or one request from now on, may take.

        Raises:
            UnsupportedModelError: it is no network that can be pruned, or not within the limits.
            EdgekdError: as `zoo.build` and `zoo.weights` raise.
        """
        self._timeout_s = timeout_s
        if opening == self._opening:
            return
        self._opening = opening
        try:
            self._ask(opening, Ready)
        except BaseException:
            self._close()
            raise

    def _started(self) -> Worker:
        if self._worker is None:
            command, env = of_module("edgekd.pruning.child")
            self._worker = Worker(command, memory_bytes=self._memory_bytes, env={**_ALLOCATING, **env})
        return self._worker

    def _close(self) -> None:
        if self._worker:
            self._worker.close()
        self._worker = self._opening = None

    def space(self, kinds: Collection[Granularity]) -> Space:
        """What of these kinds can be removed from the network; raises as `prune`."""
        return self._ask(SpaceRequest(kinds=tuple(kinds)), Space)

    def scores(self, judging: Judging, *, saved_ms: Mapping[str, float] | None = None) -> Scores:
        """What the criterion says of what can be removed; raises as `prune`.

        Args:
            judging: the criterion.
            saved_ms: milliseconds that the network saves without a block, by the block's name.
        """
        return self._ask(ScoresRequest(judging=judging, saved_ms=dict(saved_ms or {})), Scores)

    def loss(self, structure: Structure, scores: Scores, images: int, *, threads: int = 1) -> float | None:
        """The loss of the network with this structure, untrained but repaired; None where there is none.

        Args:
            structure: of channels and blocks.
            scores: of the unpruned network's channels: the least important go.
            images: how many of those that it was opened with, the last; half of them repair it, the other half tell
                the loss.
            threads: that compute.
        """
        request = LossRequest(structure=structure, scores=scores, images=images, threads=threads)
        return self._ask(request, StructureLoss).loss

    def prune(self, structure: Structure, judging: Judging, folder: Path) -> PrunedFiles:
        """Write the network with this structure to `folder`, from the network as it was opened.

        Args:
            structure: what it should be like.
            judging: the criterion that decides which channels stay, or which weights become zero.
            folder: for its files.

        Raises:
            UnsupportedModelError: the network can't be pruned so, or not within the limits.
            EdgekdError: the criterion has no such option, or as `zoo.build` and `zoo.weights` raise.
        """
        return self._ask(PruneRequest(structure=structure, judging=judging, folder=folder), PrunedFiles)

    def _ask(self, request: Value, kind: type[V]) -> V:
        try:
            answer = self._started().ask(request.model_dump(mode="json"), self._timeout_s)
        except WorkerError as e:
            failed = self._failed(e.kind, str(e))
            self._close()
            raise failed from e
        if "failure" not in answer:
            return kind.model_validate(answer)
        raise self._raised(Failure.model_validate(answer))

    def _raised(self, failure: Failure) -> EdgekdError:
        kind: Any = getattr(errors, failure.failure, None)
        if kind is None:
            return self._failed(failure.failure, "")
        found: EdgekdError = kind(failure.message, failure.hint)
        return found

    def _failed(self, how: str, detail: str) -> EdgekdError:
        assert self._opening
        model = self._opening.model
        if how == "memory":
            message = f"{model} can't be pruned in {self._memory_bytes / 1e9:g} GB of memory"
            return PruningProcessError(message, f"{UNPRUNED} Or raise prune.memory_bytes.")
        if how == "timeout":
            message = f"{model} can't be pruned in {self._timeout_s:g} s"
            return PruningProcessError(message, f"{UNPRUNED} Or raise prune.timeout_s.")
        hint = _KILLED if detail.endswith("signal 9") else UNPRUNED
        return PruningProcessError(f"{model} can't be pruned: the pruning process {detail}", hint)
