"""The host's end of an agent: each request is a method, each answer is checked.

What the agent itself reports as a failure is raised as `worker.WorkerError` of kind "error": only the caller knows what
was to be done. An answer that isn't what `agent.protocol` says raises MeasurementError.
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
_AHEAD = 2  # batches that are sent before the first is answered
_OUTPUT_TYPES = ("float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool")
_TIMES_LONGER = 10  # a shared device may be this much slower for a while without having hung

PATIENCE_S = 300.0
"""How long the device may take for what has no stated length: loading, the first inference."""

BUILD_S = 3_600.0
"""How long the device may take to build an engine."""


class Process(Protocol):
    """The process in which an agent runs; `worker.Worker` is one."""

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer. Raises worker.WorkerError."""

    def send(self, request: Mapping[str, Any], frame: Frame = ..., timeout_s: float = ...) -> None:
        """Send one request with its frame. Raises worker.WorkerError."""

    def receive_framed(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next answer and its frame. Raises worker.WorkerError."""

    def close(self) -> None:
        """End the process."""


class Agent:
    """An agent that runs in a process of its own. Use as a context manager: the process never outlives the block.

    Its methods raise WorkerError where the agent fails or does not answer in time, and MeasurementError where the
    answer is wrong.

    Args:
        process: where it runs.
        url: the device, for messages.
    """

    def __init__(self, process: Process, url: str) -> None:
        self.process = process
        self.url = url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        self.process.close()

    def describe(self, timeout_s: float = _SLACK_S) -> protocol.Described:
        """The host, and the runtime, which is imported at the first time."""
        return self._ask(protocol.Describe(), protocol.Described, timeout_s)

    def survey(self, runtimes: Mapping[str, str], paths: Sequence[str]) -> protocol.Surveyed:
        """The host, and which of the runtimes (paths of modules by name) and of the paths it has."""
        return self._ask(protocol.Survey(dict(runtimes), tuple(paths)), protocol.Surveyed, PATIENCE_S)

    def build(self, path: str, options: Mapping[str, Any], key: str, timeout_s: float = BUILD_S) -> protocol.Built:
        """Build an engine from an artifact, unless the device has one under this key."""
        return self._ask(protocol.Build(path, dict(options), key), protocol.Built, timeout_s)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder on the device."""
        return self._ask(protocol.Exists(path), protocol.Found, _SLACK_S).exists

    def state(self) -> protocol.StateRead:
        """The device's state now."""
        return self._ask(protocol.ReadState(), protocol.StateRead, _SLACK_S)

    def cpus(self) -> protocol.UsableCpus:
        """The CPUs that the agent may run on."""
        return self._ask(protocol.Cpus(), protocol.UsableCpus, _SLACK_S)

    def load(self, opening: protocol.Opening, timeout_s: float = PATIENCE_S) -> protocol.Loaded:
        """Open an artifact to measure it."""
        return self._ask(protocol.Load(opening), protocol.Loaded, timeout_s)

    def first(self, timeout_s: float = PATIENCE_S) -> protocol.FirstRun:
        """Run it for the first time."""
        return self._ask(protocol.First(), protocol.FirstRun, timeout_s)

    def warmup(self, window_ms: float, max_s: float, period_s: float | None, first_ms: float) -> protocol.Warmed:
        """Run it until two windows in turn take equally long, or for `max_s` seconds.

        Args:
            window_ms: the length of a window.
            max_s: when to end at the latest.
            period_s: between the starts of two inferences; None: one starts when the last has ended.
            first_ms: what the first inference took: how long an inference may take.
        """
        request = protocol.Warmup(window_ms, max_s, period_s)
        return self._ask(request, protocol.Warmed, _patience(max_s + (first_ms + 2 * window_ms) / 1e3))

    def block(self, seconds: float, period_s: float | None, latency_ms: float) -> protocol.Timed:
        """Run it for so many seconds, or once if that takes longer; `latency_ms` is how long an inference takes."""
        request = protocol.Block(seconds, period_s)
        return self._ask(request, protocol.Timed, _patience(seconds + 2 * latency_ms / 1e3))

    def finish(self) -> protocol.Finished:
        """The memory that loading and running took, and the state after."""
        return self._ask(protocol.Finish(), protocol.Finished, _SLACK_S)

    def trace(self, opening: protocol.Opening, seconds: float, timeout_s: float = PATIENCE_S) -> protocol.Traced:
        """Open an artifact and time its nodes for about so many seconds."""
        return self._ask(protocol.Trace(opening, seconds), protocol.Traced, timeout_s)

    def evaluate(self, path: str, options: Mapping[str, Any], batches: Iterable[Array]) -> Iterator[Array]:
        """The first output of an artifact for each input.

        Args:
            path: of the artifact on the device; it takes one input at a time.
            options: of the runtime's `open`.
            batches: arrays (N, ...) of N inputs each. One is read ahead while the device is at work.

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
        """The outputs of the next batch, which has so many inputs."""
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
    hint = "Something on the device writes between the agent's answers, or runs another agent. Measure again."
    return MeasurementError(f"{url}: the agent answered {request!r} wrongly: {why}", hint)


def _patience(seconds: float) -> float:
    return _SLACK_S + _TIMES_LONGER * seconds
