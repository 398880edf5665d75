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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

_STDERR_TAIL = 2_000  # characters
_LONGEST_LINE = 1 << 28  # bytes
_LARGEST_FRAME = 1 << 30
_SENDING_S = 300.0  # large frames on slow connections
_ENDING_S = 1.0  # from the end of its stdout to its exit code

Frame = bytes | memoryview

Lost = Callable[[int, str], tuple[str, str] | None]
"""From the exit code and the tail of stderr to a message and a hint if the connection to it failed, not the process."""


class WorkerError(Exception):
    """The child failed. `kind` is the kind of failure; the text ends with the tail of stderr; `hint` is the child's."""

    def __init__(self, kind: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.hint = hint


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
        self._answers: queue.Queue[tuple[bytes, bytes] | None] = queue.Queue()
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

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            WorkerError: kind "error" (reported by the child), "crashed", "timeout", "memory", "garbled" or "lost".
        """
        self.send(request)
        return self.receive(timeout_s)

    def send(self, request: Mapping[str, Any], frame: Frame = b"", timeout_s: float = _SENDING_S) -> None:
        """Send one request, optionally with a frame, without waiting for the answer.

        Raises:
            WorkerError: the child ended, or did not read the request in time.
        """
        stdin = self._process.stdin
        assert stdin is not None
        # a write to a child that no longer reads would block forever
        late = threading.Timer(timeout_s, self._kill_group)
        try:
            if len(frame):
                late.start()
                stdin.write(b"#%d\n" % len(frame))
                stdin.write(frame)
            stdin.write(json.dumps(request).encode() + b"\n")
            stdin.flush()
        except (BrokenPipeError, ValueError) as e:
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
            answer = json.loads(line)
        # also raised for numbers with too many digits and for deep nesting
        except (ValueError, RecursionError) as e:
            raise _garbled(line) from e
        if not isinstance(answer, dict):
            raise _garbled(line)
        if "error" in answer:
            raise WorkerError("error", str(answer["error"]), str(answer.get("hint", "")))
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
        frame = b""
        # the child isn't trusted: the size of every read is bounded
        while line := self._process.stdout.readline(_LONGEST_LINE):
            size = _frame_size(line)
            if size is not None:
                frame = self._process.stdout.read(size)
                continue
            self._answers.put((line, frame))
            frame = b""
        self._answers.put(None)

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._stderr = (self._stderr + line.decode("utf-8", "replace"))[-2 * _STDERR_TAIL :]


def _frame_size(line: bytes) -> int | None:
    """The frame size that a line announces; None if it announces none or one that is too large."""
    digits = line[1:-1]
    announces = line[:1] == b"#" and digits.isdigit() and len(digits) <= len(str(_LARGEST_FRAME))
    return int(digits) if announces and int(digits) <= _LARGEST_FRAME else None


def _garbled(line: bytes) -> WorkerError:
    return WorkerError("garbled", f"answered {line[:200].decode('utf-8', 'replace')!r}")
