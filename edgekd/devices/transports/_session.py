"""A program on a device whose streams are used as they are: lines from its stdout, bytes to its stdin."""

import contextlib
import os
import select
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from edgekd.progress import runs

_LONGEST_LINE = 1 << 16
_LAST_WORDS = 8_000
_STEP_S = 0.2


class Session:
    """One local process that stands for the program there. Use as a context manager: it is ended with the block.

    Args:
        command: of the local process.

    Raises:
        OSError: it can't be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        runs(command)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},  # messages are recognised by their words
            start_new_session=True,  # Ctrl-C reaches edgekd alone, which then ends it
        )
        weakref.finalize(self, self._process.kill)  # one that nobody closed ends with this process
        self._spoke = False
        self._words = b""
        self._reader = threading.Thread(target=self._read_stderr, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def stdin(self) -> IO[bytes]:
        """Bytes to the program."""
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """Bytes from the program."""
        assert self._process.stdout is not None
        return self._process.stdout

    @property
    def words(self) -> str:
        """The end of what it wrote to stderr."""
        return self._words.decode("utf-8", "replace").replace("\r", "").strip()

    def runs(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def line(self, timeout_s: float) -> str | None:
        """The next line without its end; None where the program ended, or wrote none in time and was ended."""
        end = time.monotonic() + timeout_s
        # in steps, so that a thread which waits for a device that says nothing can be stopped
        while not self._spoke and time.monotonic() < end:
            self._spoke = bool(select.select([self.stdout], [], [], _STEP_S)[0])
        late = threading.Timer(max(0.0, end - time.monotonic()), self._process.kill)
        late.start()
        try:
            found = self.stdout.readline(_LONGEST_LINE)
        finally:
            late.cancel()
        return found.decode("utf-8", "surrogateescape").rstrip("\r\n") if found.endswith(b"\n") else None

    def wait(self, timeout_s: float) -> int:
        """Close its stdin; its exit code, -9 if it had to be killed."""
        with contextlib.suppress(OSError):
            self.stdin.close()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=1)
        return self._process.returncode

    def close(self, grace_s: float = 0.0) -> None:
        """End it, after so long at most."""
        with contextlib.suppress(OSError):
            self.stdin.close()
        if grace_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        if self.runs():
            self._process.terminate()
        self.wait(2)
        self.stdout.close()

    def _read_stderr(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        with stream:
            while piece := os.read(stream.fileno(), _LAST_WORDS):
                self._words = (self._words + piece)[-_LAST_WORDS:]


class Feed:
    """A session's stdin for writing, which fails if nothing is read from it for too long.

    Args:
        session: whose.
        patience_s: how long it may take nothing.
    """

    def __init__(self, session: Session, patience_s: float) -> None:
        self._descriptor = session.stdin.fileno()
        self._patience_s = patience_s
        self.written = 0
        os.set_blocking(self._descriptor, False)

    def write(self, data: bytes) -> int:
        """Write all of it. Raises TimeoutError, and OSError if the program has ended."""
        left = memoryview(data)
        while left:
            if not select.select([], [self._descriptor], [], self._patience_s)[1]:
                raise TimeoutError(f"nothing was taken for {self._patience_s:.0f} s")
            taken = os.write(self._descriptor, left)
            left, self.written = left[taken:], self.written + taken
        return len(data)

    def tell(self) -> int:
        """How many bytes were written."""
        return self.written
