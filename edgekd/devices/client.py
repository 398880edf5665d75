"""The host side of an agent: each request is a method, and each answer is validated.

A failure that the agent reports is raised as `worker.WorkerError` of kind "error": only the caller knows the context.
An answer that violates `agent.protocol` raises MeasurementError.
"""

import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any, Protocol, Self, TypeVar

import numpy as np

from edgekd.devices import answers
from edgekd.devices.agent import protocol
from edgekd.errors import MeasurementError
from edgekd.visible import visible
from edgekd.worker import Frame, WorkerError
from edgekd.worker_output import Limits

Array = np.ndarray[Any, np.dtype[Any]]

T = TypeVar("T")

_NONE: Mapping[str, str] = MappingProxyType({})
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

    def ask(self, request: Mapping[str, Any], timeout_s: float, limits: Limits = ...) -> dict[str, Any]:
        """Send one request and wait for its answer. Raises worker.WorkerError."""

    def send(
        self, request: Mapping[str, Any], frame: Frame = ..., timeout_s: float = ..., limits: Limits = ...
    ) -> None:
        """Send one request with its frame. Raises worker.WorkerError."""

    def receive_framed(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next answer and its frame. Raises worker.WorkerError."""

    def close(self) -> None:
        """Terminate the process."""


class Agent:
    """An agent in its own process. Use as a context manager: the process ends with the block.

    Its methods raise WorkerError if the agent fails or does not answer in time, and MeasurementError if the answer is
    invalid, or the device has another content than `files` say: the SHA-256 of what is read there, by its path.

    Args:
        process: the process in which the agent runs.
        title: the device, for messages.
        clock: seconds as they pass for the host while it waits for answers.
    """

    def __init__(self, process: Process, title: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.process = process
        self.title = title
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Terminate the process."""
        self.process.close()

    def describe(self, timeout_s: float = _SLACK_S) -> protocol.Described:
        """The host and the runtime; the first call imports the runtime."""
        return self._ask(protocol.Describe(), protocol.Described, timeout_s, check=answers.described)

    def survey(self, runtimes: Mapping[str, str], paths: Sequence[str]) -> protocol.Surveyed:
        """The host, the available runtimes (given as module paths by name) and the existing paths."""
        request = protocol.Survey(dict(runtimes), tuple(paths))
        return self._ask(request, protocol.Surveyed, PATIENCE_S, check=answers.described)

    def build(
        self, request: protocol.Build, files: Mapping[str, str] = _NONE, timeout_s: float = BUILD_S
    ) -> protocol.Built:
        """Build an engine from an artifact, or return the cached one with this key."""
        request, check = replace(request, files=tuple(files)), partial(answers.built, files=files)
        return self._ask(request, protocol.Built, timeout_s, check=check)

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
        return self._ask(protocol.Acquire(who, expires_s), protocol.Leased, _SLACK_S, check=answers.leased)

    def renew(self, timeout_s: float) -> protocol.Leased:
        """Keep the lease that this agent has acquired."""
        return self._ask(protocol.Renew(), protocol.Leased, timeout_s, check=answers.leased)

    def release(self) -> protocol.Leased:
        """Give the lease back."""
        return self._ask(protocol.Release(), protocol.Leased, _SLACK_S, check=answers.leased)

    def lease(self) -> protocol.Leased:
        """Who holds the lease on the device."""
        return self._ask(protocol.ReadLease(), protocol.Leased, _SLACK_S, check=answers.leased)

    def load(
        self, opening: protocol.Opening, files: Mapping[str, str] = _NONE, timeout_s: float = PATIENCE_S
    ) -> protocol.Loaded:
        """Open an artifact to measure it."""
        request, check = protocol.Load(opening, tuple(files)), partial(answers.loaded, files=files)
        return self._ask(request, protocol.Loaded, timeout_s, check=check)

    def first(self, timeout_s: float = PATIENCE_S) -> protocol.FirstRun:
        """Run the first inference."""
        return self._ask(protocol.First(), protocol.FirstRun, timeout_s, check=answers.first_run)

    def warmup(self, window_ms: float, max_s: float, period_s: float | None, first_ms: float) -> protocol.Warmed:
        """Run the artifact until two consecutive windows have equal latency, for at most `max_s` seconds.

        Args:
            window_ms: duration of a window.
            max_s: maximum duration of the warm-up.
            period_s: time between the starts of two inferences; None: back to back.
            first_ms: latency of the first inference, for the timeout.
        """
        request, longest_s = protocol.Warmup(window_ms, max_s, period_s), max_s + (first_ms + 2 * window_ms) / 1e3
        limits, check = answers.samples(longest_s), partial(answers.warmed, period_s=period_s)
        return self._ask(request, protocol.Warmed, _patience(longest_s), limits, check)

    def block(self, seconds: float, period_s: float | None, latency_ms: float) -> protocol.Timed:
        """Run the artifact for `seconds`, at least once; `latency_ms` is its expected latency, for the timeout."""
        request, timeout_s = protocol.Block(seconds, period_s), _patience(seconds + 2 * latency_ms / 1e3)
        limits, check = answers.samples(seconds), partial(answers.timed, period_s=period_s)
        return self._ask(request, protocol.Timed, timeout_s, limits, check)

    def finish(self) -> protocol.Finished:
        """The peak memory of loading and running, and the final state."""
        return self._ask(protocol.Finish(), protocol.Finished, _SLACK_S)

    def trace(
        self,
        opening: protocol.Opening,
        seconds: float,
        files: Mapping[str, str] = _NONE,
        timeout_s: float = PATIENCE_S,
    ) -> protocol.Traced:
        """Open an artifact and time its nodes for about `seconds`."""
        request, check = protocol.Trace(opening, seconds, tuple(files)), partial(answers.traced, files=files)
        return self._ask(request, protocol.Traced, timeout_s, answers.NODES, check)

    def evaluate(
        self,
        path: str,
        options: Mapping[str, Any],
        batches: Iterable[Array],
        files: Mapping[str, str] = _NONE,
        *,
        output: int = 0,
    ) -> Iterator[Array]:
        """An output of an artifact for each input.

        Args:
            path: path of the artifact on the device; its batch size is one.
            options: options of the runtime's `open`.
            batches: arrays (N, ...) of N inputs each. One batch is prefetched while the device computes.
            files: as of all requests.
            output: the position of the output.

        Yields:
            The outputs of each batch, (N, ...), of one shape and type but for N.
        """
        sent: deque[tuple[int, str]] = deque()
        received = self._each_output(sent, files)
        for batch in batches:
            sent.append((len(batch), self._send_batch(path, options, batch, tuple(files), output)))
            if len(sent) == _AHEAD:
                yield next(received)
        yield from received

    def _each_output(self, sent: deque[tuple[int, str]], files: Mapping[str, str]) -> Iterator[Array]:
        before = ""
        while sent:
            count, nonce = sent.popleft()
            outputs = self._outputs(count, nonce, files)
            now = f"{outputs.dtype} of shape {list(outputs.shape[1:])}"
            if before not in ("", now):
                raise _wrong_answer(self.title, "evaluate", f"the output for an input is {now}; before it was {before}")
            before = now
            yield outputs

    def _send_batch(
        self, path: str, options: Mapping[str, Any], batch: Array, files: tuple[str, ...], output: int
    ) -> str:
        """The nonce of the request."""
        batch, nonce = np.ascontiguousarray(batch, batch.dtype.newbyteorder("<")), _nonce()
        request = protocol.Evaluate(path, dict(options), protocol.Array(batch.dtype.name, batch.shape), files, output)
        frame = batch.reshape(-1).view(np.uint8).data
        self.process.send(protocol.request_document(request, nonce), frame, limits=answers.OUTPUTS)
        return nonce

    def _outputs(self, count: int, nonce: str, files: Mapping[str, str]) -> Array:
        """The outputs of the next batch of `count` inputs."""
        with self._answering("evaluate", nonce):
            answer, frame = self.process.receive_framed(PATIENCE_S)
            evaluated = answers.read(protocol.Evaluated, answer, nonce)
            answers.require_files(evaluated.sha256, files)
            array = evaluated.outputs
            if array.dtype not in _OUTPUT_TYPES:
                raise protocol.ProtocolError(f"outputs are {array.dtype} of shape {array.shape}")
            expected = math.prod(array.shape) * np.dtype(array.dtype).itemsize
            if array.shape[:1] != (count,) or len(frame) != expected:
                got = f"{len(frame)} bytes as {array.dtype} of shape {array.shape}"
                raise protocol.ProtocolError(f"{got} for {count} inputs")
            return np.frombuffer(frame, np.dtype(array.dtype).newbyteorder("<")).reshape(array.shape)

    def _ask(
        self,
        request: protocol.Request,
        kind: type[T],
        timeout_s: float,
        limits: Limits = answers.FACTS,
        check: Callable[[T, float], None] = lambda answer, waited_ms: None,
    ) -> T:
        """The answer, of that kind. `check` is called with it and with how long it was waited for."""
        name, nonce = protocol.name_of(request), _nonce()
        with self._answering(name, nonce):
            start = self._clock()
            found = self.process.ask(protocol.request_document(request, nonce), timeout_s, limits)
            waited_ms = (self._clock() - start) * 1e3
            answer = answers.read(kind, found, nonce)
            check(answer, waited_ms)
            return answer

    @contextmanager
    def _answering(self, name: str, nonce: str) -> Iterator[None]:
        try:
            try:
                yield
            except WorkerError as e:
                if e.kind == "error":
                    answers.require_nonce(e.answer, nonce)
                if e.kind != "garbled":
                    raise
                raise _wrong_answer(self.title, name, str(e)) from e
        except protocol.ProtocolError as e:
            raise _wrong_answer(self.title, name, str(e)) from e
        except answers.OtherFileError as e:
            clean = "if it happens again, its storage is damaged: edgekd devices clean URL"
            raise MeasurementError(f"{self.title}: {e}", f"It was changed meanwhile: retry; {clean}") from e


def _nonce() -> str:
    return secrets.token_hex(16)


def _wrong_answer(title: str, request: str, why: str) -> MeasurementError:
    hint = (
        "Retry. If it happens again, another program on the device writes to the agent's output, its clock is wrong, "
        "or it isn't what it claims to be."
    )
    return MeasurementError(f"{title}: invalid answer of the agent to {request!r}: {visible(why)}", hint)


def _patience(seconds: float) -> float:
    return _SLACK_S + _TIMEOUT_FACTOR * seconds
