"""A child process that answers JSON lines, with a timeout and optionally a memory limit.

Work that can hang, crash or exhaust memory runs in a child process: the measuring agent, and pruning.
The child reads one JSON object per line on stdin and answers each with one JSON object per line on stdout. A line `#N`
before an object announces N bytes, its frame. The child ends when its stdin is closed, even during a computation
(`devices.agent.host`), so no child outlives its parent. An answer with the key "error" is a failure that the child
reports; the key "hint" may hold the remedy.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekd.progress import runs
from edgekd.visible import visible
from edgekd.worker_output import NOTHING, Limits, OutputError, answers, last_words, parsed

_STDERR_TAIL = 2_000  # characters
_LONGEST_ERROR = 8_000  # characters of an error and of a hint
_SENDING_S = 300.0  # large frames on slow connections
_BUFFERED = 4_096  # bytes that any pipe takes at once
_ENDING_S = 1.0  # from the end of its stdout to its exit code

Frame = bytes | memoryview

Lost = Callable[[int, str], tuple[str, str] | None]
"""From the exit code and the tail of stderr to a message and a hint if the connection to it failed, not the process."""


ANY = Limits()


def of_module(module: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of a Python that runs a module, and imports what can be imported here alone."""
    path = os.pathsep.join(str(Path(folder).absolute()) for folder in sys.path)
    return [sys.executable, "-P", "-m", module], {**os.environ, "PYTHONPATH": path}


class WorkerError(Exception):
    """The child failed. The text, which ends with the tail of stderr, and the hint are safe to print.

    Args:
        kind: the kind of failure.
        text: what happened.
        hint: the child's.
        answer: the child's, of kind "error".
    """

    def __init__(self, kind: str, text: str, hint: str = "", answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(visible(text))
        self.kind = kind
        self.hint = visible(hint)
        self.answer = answer or {}


class Worker:
    """One child process. Use as a context manager: the process ends with the block.

    Args:
        command: the command to start.
        memory_bytes: the child is killed when its resident memory exceeds this; requires psutil.
        env: the child's environment; None: the parent's.
        lost: for a child that stands for a process elsewhere; see `Lost`.

    Raises:
        OSError: the command can't be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        memory_bytes: float | None = None,
        env: Mapping[str, str] | None = None,
        lost: Lost = lambda code, words: None,
    ) -> None:
        runs(command)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env) if env is not None else None,
            # only the parent receives Ctrl-C, and then closes the child
            start_new_session=True,
        )
        self._memory_bytes = memory_bytes
        self._lost = lost
        self._limits = ANY
        self._allowed = 1  # answers so far: a child may begin by itself
        self._heard = 0
        self._answers: queue.Queue[tuple[bytes, bytes] | OutputError | None] = queue.Queue()
        self._stderr = ""
        self._threads = [
            threading.Thread(target=self._read_stdout, daemon=True),
            threading.Thread(target=self._read_stderr, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def runs(self) -> bool:
        """Whether the child has not ended yet."""
        return self._process.poll() is None

    def ask(self, request: Mapping[str, Any], timeout_s: float, limits: Limits = ANY) -> dict[str, Any]:
        """Send one request and wait for its answer, which may be as large as `limits` say.

        Raises:
            WorkerError: kind "error" (reported by the child), "crashed", "timeout", "memory", "garbled" or "lost".
        """
        self.send(request, limits=limits)
        return self.receive(timeout_s)

    def send(
        self,
        request: Mapping[str, Any],
        frame: Frame = b"",
        timeout_s: float = _SENDING_S,
        limits: Limits = ANY,
    ) -> None:
        """Send one request, optionally with a frame, without waiting for the answer.

        Args:
            request: the request.
            frame: sent before it.
            timeout_s: the child is killed if it has not read them by then.
            limits: on all answers from now on.

        Raises:
            WorkerError: the child ended, or did not read the request in time.
        """
        stdin = self._process.stdin
        assert stdin is not None
        # a write to a child that no longer reads would block forever
        too_late = threading.Event()

        def stop() -> None:
            too_late.set()
            self._kill_group()

        late = threading.Timer(timeout_s, stop)
        line = json.dumps(request).encode() + b"\n"
        self._limits, self._allowed = limits, self._allowed + 1
        try:
            if len(frame) + len(line) > _BUFFERED:
                late.start()
            if len(frame):
                stdin.write(b"#%d\n" % len(frame))
                stdin.write(frame)
            stdin.write(line)
            stdin.flush()
        except (BrokenPipeError, ValueError) as e:
            if too_late.is_set():
                raise WorkerError("timeout", f"did not read the request within {timeout_s:g} s") from e
            raise self._crashed() from e
        finally:
            late.cancel()

    def receive(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the next answer; raises like `ask`."""
        return self.receive_framed(timeout_s)[0]

    def receive_framed(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next answer and its frame (empty if there is none); raises like `ask`."""
        line, frame = self._next(time.monotonic() + timeout_s, timeout_s)
        try:
            answer = parsed(line, self._limits)
        except OutputError as e:
            raise WorkerError("garbled", str(e)) from e
        if "error" in answer:
            text, hint = answer["error"], answer.get("hint", "")
            if not (isinstance(text, str) and isinstance(hint, str)):
                raise WorkerError("garbled", "answered with an error that is no text")
            raise WorkerError("error", text[:_LONGEST_ERROR], hint[:_LONGEST_ERROR], answer)
        return answer, frame

    def _next(self, deadline: float, timeout_s: float) -> tuple[bytes, bytes]:
        while True:
            try:
                answer = self._answers.get(timeout=min(0.2, max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                self._watch_memory()
                if time.monotonic() >= deadline:
                    self._kill()
                    raise WorkerError("timeout", f"no answer within {timeout_s:.0f} s{self._stderr_tail()}") from None
                continue
            if answer is None:
                raise self._crashed()
            if isinstance(answer, OutputError):
                self._kill()
                raise WorkerError("garbled", str(answer))
            return answer

    def _watch_memory(self) -> None:
        if self._memory_bytes is None:
            return
        import psutil

        try:
            used = psutil.Process(self._process.pid).memory_info().rss
        except psutil.NoSuchProcess:
            return
        if used > self._memory_bytes:
            self._kill()
            raise WorkerError("memory", f"used more than {self._memory_bytes / 1e9:.1f} GB of memory")

    def _crashed(self) -> WorkerError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING_S)
        self._kill()
        code = self._process.returncode
        lost = self._lost(code, self._stderr)
        if lost:
            return WorkerError("lost", *lost)
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return WorkerError("crashed", f"ended with {how}{self._stderr_tail()}")

    def _stderr_tail(self) -> str:
        tail = self._stderr.strip()[-_STDERR_TAIL:]
        return f": {tail}" if tail else ""

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._kill_group()
        self._process.wait()
        self._threads[1].join(timeout=1)

    def _kill_group(self) -> None:
        """Kill the child and its descendants, which share the child's own session."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def close(self) -> None:
        """Close the child's stdin, which ends it; kill it if it is still running after two seconds."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._kill()
        for thread in self._threads:
            thread.join(timeout=1)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    def _read_stdout(self) -> None:
        assert self._process.stdout is not None
        try:
            for answer in answers(self._process.stdout, self._expected):
                self._heard += 1
                self._answers.put(answer)
            self._answers.put(None)
        except OutputError as e:
            self._answers.put(e)

    def _expected(self) -> Limits:
        """What may come next: nothing if all requests were answered, so that no flood fills the memory."""
        return self._limits if self._heard < self._allowed else NOTHING

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        last_words(self._process.stderr, 2 * _STDERR_TAIL, self._hear)

    def _hear(self, tail: bytes) -> None:
        self._stderr = tail.decode("utf-8", "replace")
