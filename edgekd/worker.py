"""A child process that answers JSON lines, under a time limit and, if asked, a memory limit.

Work that can hang, crash or eat the machine runs in one: the agent that measures, the step that prunes.
The child reads one JSON object a line on stdin and answers each with one JSON object a line on stdout; a line `#N`
before one says that N bytes follow, its frame, and then the object. The child ends when its stdin does, whatever it
computes (`devices.agent.host`): no parent leaves one behind, however it ends. An answer with the key "error" is a
failure it saw itself, whose remedy may stand under "hint".
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

_LAST_WORDS = 2_000
_LONGEST_LINE = 1 << 28  # bytes
_LARGEST_FRAME = 1 << 30
_SENDING_S = 300.0  # a large frame may go over a slow connection

Frame = bytes | memoryview


class WorkerError(Exception):
    """The child failed. `kind` says how; the text ends with its last words on stderr, `hint` is the child's own."""

    def __init__(self, kind: str, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.hint = hint


class Worker:
    """One child process. Use as a context manager: it never outlives the block.

    Args:
        command: what to start.
        memory_bytes: kill the child when its resident memory passes this; needs psutil.
        env: the child's environment; the parent's if None.

    Raises:
        OSError: the command can't be started.
    """

    def __init__(
        self, command: Sequence[str], *, memory_bytes: float | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env) if env is not None else None,
            # Ctrl-C reaches the parent alone, which then closes the child in order
            start_new_session=True,
        )
        self._memory_bytes = memory_bytes
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

    def ask(self, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send one request and wait for its answer.

        Raises:
            WorkerError: kind "error" (the child says so), "crashed", "timeout", "memory" or "garbled".
        """
        self.send(request)
        return self.receive(timeout_s)

    def send(self, request: Mapping[str, Any], frame: Frame = b"", timeout_s: float = _SENDING_S) -> None:
        """Send one request, with its frame if it has one, without waiting for the answer.

        Raises:
            WorkerError: the child ended, or did not take all of it in time.
        """
        stdin = self._process.stdin
        assert stdin is not None
        # writing to a child that has stopped reading would never end
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
        """Wait for the next answer; raises as `ask`."""
        return self.receive_framed(timeout_s)[0]

    def receive_framed(self, timeout_s: float) -> tuple[dict[str, Any], bytes]:
        """Wait for the next answer and its frame, empty if it has none; raises as `ask`."""
        line, frame = self._next(time.monotonic() + timeout_s, timeout_s)
        try:
            answer = json.loads(line)
        # a number of too many digits, and what is nested too deeply, as well
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
                    raise WorkerError("timeout", f"no answer within {timeout_s:.0f} s{self._last_words()}") from None
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
        self._kill()
        code = self._process.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return WorkerError("crashed", f"ended with {how}{self._last_words()}")

    def _last_words(self) -> str:
        words = self._stderr.strip()[-_LAST_WORDS:]
        return f": {words}" if words else ""

    def _kill(self) -> None:
        if self._process.poll() is None:
            self._kill_group()
        self._process.wait()
        self._threads[1].join(timeout=1)

    def _kill_group(self) -> None:
        """Kill the child with what it started itself: its session is its own."""
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def close(self) -> None:
        """End the child: closing its stdin lets it finish, and it is killed if it doesn't."""
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
        # from whom nothing is trusted, nothing is read without end
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
            self._stderr = (self._stderr + line.decode("utf-8", "replace"))[-2 * _LAST_WORDS :]


def _frame_size(line: bytes) -> int | None:
    """The size that a line announces, if it announces one that is taken."""
    digits = line[1:-1]
    announces = line[:1] == b"#" and digits.isdigit() and len(digits) <= len(str(_LARGEST_FRAME))
    return int(digits) if announces and int(digits) <= _LARGEST_FRAME else None


def _garbled(line: bytes) -> WorkerError:
    return WorkerError("garbled", f"answered {line[:200].decode('utf-8', 'replace')!r}")
