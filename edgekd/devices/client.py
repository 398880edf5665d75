"""The host side of an agent: each request is a method, and each answer is validated.

A failure that the agent reports is raised as `worker.WorkerError` of kind "error": only the caller knows the context.
An answer that violates `agent.protocol` raises MeasurementError.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from edgekd.devices.agent import protocol
from edgekd.errors import MeasurementError
from edgekd.worker import Frame, WorkerError

Array = np.ndarray[Any, np.dtype[Any]]

T = TypeVar("T")

_SLACK_S = 30.0
_AHEAD = 2  # batches in flight
_OUTPUT_TYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")
_TIMEOUT_FACTOR = 10  # a shared device can be temporarily slow by this factor without having hung

PATIENCE_S = 300.0
"""Timeout of requests of unknown duration: loading, the first inference."""

BUILD_S = 3_600.0
"""Timeout for building an engine."""


class Process(Protocol):
    """The process in which an agent runs; `worker.Worker` is one."""

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer. Raises worker.WorkerError."""

    def send(self, request: Mapping[str, Any], frame: Frame = ..., timeout_s: float = ...) -> None:
        """Send one request with its frame. Raises worker.WorkerError."""

    def receive_framed(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next answer and its frame. Raises worker.WorkerError."""

    def close(self) -> None:
        """Terminate the process."""


class Agent:
    """An agent in its own process. Use as a context manager: the process ends with the block.

    Its methods raise WorkerError if the agent fails or does not answer in time, and MeasurementError if the answer is
    invalid.

    Args:
        process: the process in which the agent runs.
        url: the device's URL, for messages.
    """

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Terminate the process."""
        self.process.close()

    def describe(self, timeout_s: float = _SLACK_S) -> protocol.Described:
        """The host and the runtime; the first call imports the runtime."""
        return self._ask(protocol.Describe(), protocol.Described, timeout_s)

    def survey(self, runtimes: Mapping[str, str], paths: Sequence[str]) -> protocol.Surveyed:
        """The host, the available runtimes (given as module paths by name) and the existing paths."""
        return self._ask(protocol.Survey(dict(runtimes), tuple(paths)), protocol.Surveyed, PATIENCE_S)

    def build(self, request: protocol.Build, timeout_s: float = BUILD_S) -> protocol.Built:
        """Build an engine from an artifact, or return the cached one with this key."""
        return self._ask(request, protocol.Built, timeout_s)

    def exists(self, path: str) -> bool:
        """Whether a file or folder exists on the device."""
        return self._ask(protocol.Exists(path), protocol.Found, _SLACK_S).exists

    def state(self) -> protocol.StateRead:
        """The device's current state."""
        return self._ask(protocol.ReadState(), protocol.StateRead, _SLACK_S)

    def cpus(self) -> protocol.UsableCpus:
        """The CPUs available to the agent."""
        return self._ask(protocol.Cpus(), protocol.UsableCpus, _SLACK_S)

    def acquire(self, who: str, expires_s: float) -> protocol.Leased:
        """Take the lease on the device if it is free, for so long unless it is renewed."""
        return self._ask(protocol.Acquire(who, expires_s), protocol.Leased, _SLACK_S)

    def renew(self, timeout_s: float) -> protocol.Leased:
        """Keep the lease that this agent has acquired."""
        return self._ask(protocol.Renew(), protocol.Leased, timeout_s)

    def release(self) -> protocol.Leased:
        """Give the lease back."""
        return self._ask(protocol.Release(), protocol.Leased, _SLACK_S)

    def lease(self) -> protocol.Leased:
        """Who holds the lease on the device."""
        return self._ask(protocol.ReadLease(), protocol.Leased, _SLACK_S)

    def load(self, opening: protocol.Opening, timeout_s: float = PATIENCE_S) -> protocol.Loaded:
        """Open an artifact to measure it."""
        return self._ask(protocol.Load(opening), protocol.Loaded, timeout_s)

    def first(self, timeout_s: float = PATIENCE_S) -> protocol.FirstRun:
        """Run the first inference."""
        return self._ask(protocol.First(), protocol.FirstRun, timeout_s)

    def warmup(self, window_ms: float, max_s: float, period_s: float | None, first_ms: float) -> protocol.Warmed:
        """Run the artifact until two consecutive windows have equal latency, for at most `max_s` seconds.

        Args:
            window_ms: duration of a window.
            max_s: maximum duration of the warm-up.
            period_s: time between the starts of two inferences; None: back to back.
            first_ms: latency of the first inference, for the timeout.
        """
        request = protocol.Warmup(window_ms, max_s, period_s)
        return self._ask(request, protocol.Warmed, _patience(max_s + (first_ms + 2 * window_ms) / 1e3))

    def block(self, seconds: float, period_s: float | None, latency_ms: float) -> protocol.Timed:
        """Run the artifact for `seconds`, at least once; `latency_ms` is its expected latency, for the timeout."""
        request = protocol.Block(seconds, period_s)
        return self._ask(request, protocol.Timed, _patience(seconds + 2 * latency_ms / 1e3))

    def finish(self) -> protocol.Finished:
        """The peak memory of loading and running, and the final state."""
        return self._ask(protocol.Finish(), protocol.Finished, _SLACK_S)

    def trace(self, opening: protocol.Opening, seconds: float, timeout_s: float = PATIENCE_S) -> protocol.Traced:
        """Open an artifact and time its nodes for about `seconds`."""
        return self._ask(protocol.Trace(opening, seconds), protocol.Traced, timeout_s)

    def evaluate(self, path: str, options: Mapping[str, Any], batches: Iterable[Array]) -> Iterator[Array]:
        """The first output of an artifact for each input.

        Args:
            path: path of the artifact on the device; its batch size is one.
            options: options of the runtime's `open`.
            batches: arrays (N, ...) of N inputs each. One batch is prefetched while the device computes.

        Yields:
            The outputs of each batch, (N, ...).
        """
        sent: deque[int] = deque()
        for batch in batches:
            self._send_batch(path, options, batch)
            sent.append(len(batch))
            if len(sent) == _AHEAD:
                yield self._outputs(sent.popleft())
        while sent:
            yield self._outputs(sent.popleft())

    def _send_batch(self, path: str, options: Mapping[str, Any], batch: Array) -> None:
        batch = np.ascontiguousarray(batch, batch.dtype.newbyteorder("<"))
        request = protocol.Evaluate(path, dict(options), protocol.Array(batch.dtype.name, batch.shape))
        self.process.send(protocol.request_document(request), batch.reshape(-1).view(np.uint8).data)

    def _outputs(self, count: int) -> Array:
        """The outputs of the next batch of `count` inputs."""
        with self._answering("evaluate"):
            answer, frame = self.process.receive_framed(PATIENCE_S)
            array = protocol.read(protocol.Evaluated, answer).outputs
            if array.dtype not in _OUTPUT_TYPES or min(array.shape, default=0) < 0:
                raise protocol.ProtocolError(f"outputs are {array.dtype} of shape {array.shape}")
            expected = math.prod(array.shape) * np.dtype(array.dtype).itemsize
            if array.shape[:1] != (count,) or len(frame) != expected:
                got = f"{len(frame)} bytes as {array.dtype} of shape {array.shape}"
                raise protocol.ProtocolError(f"{got} for {count} inputs")
            return np.frombuffer(frame, np.dtype(array.dtype).newbyteorder("<")).reshape(array.shape)

    def _ask(self, request: protocol.Request, answer: type[T], timeout_s: float) -> T:
        name = protocol.name_of(request)
        with self._answering(name):
            return protocol.read(answer, self.process.ask(protocol.request_document(request), timeout_s))

    @contextmanager
    def _answering(self, name: str) -> Iterator[None]:
        try:
            yield
        except protocol.ProtocolError as e:
            raise _wrong_answer(self.url, name, str(e)) from e
        except WorkerError as e:
            if e.kind == "garbled":
                raise _wrong_answer(self.url, name, str(e)) from e
            raise


def _wrong_answer(url: str, request: str, why: str) -> MeasurementError:
    hint = "Another program on the device writes to the agent's output, or the agent has another version. Retry."
    return MeasurementError(f"{url}: invalid answer of the agent to {request!r}: {why}", hint)


def _patience(seconds: float) -> float:
    return _SLACK_S + _TIMEOUT_FACTOR * seconds
