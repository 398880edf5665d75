"""What a child process writes, read within limits: a child that isn't trusted can't fill the memory."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

_PIECE = 1 << 16
_DIGITS = 12  # of the size of a frame


@dataclass(frozen=True)
class Limits:
    """The largest answer that is accepted."""

    line: int = 1 << 28
    """Bytes of the JSON object."""
    values: int = 1 << 28
    """Numbers, strings, lists and objects in it: parsed, each takes many times its bytes."""
    frame: int = 1 << 30
    """Bytes of the frame before it."""


NOTHING = Limits(line=0, values=0, frame=0)


class OutputError(ValueError):
    """The output isn't an answer, or exceeds a limit."""


def answers(stream: IO[bytes], limits: Callable[[], Limits]) -> Iterator[tuple[bytes, bytes]]:
    """Each line of the stream and the frame before it, which is empty if there is none.

    Args:
        stream: a buffered binary stream.
        limits: the current limits; called whenever something was read.

    Raises:
        OutputError: a line or a frame exceeds its limit.
    """
    rest, frame = bytearray(), None
    while line := _line(stream, rest, limits):
        size = _frame_size(line)
        if size is None:
            yield line, frame or b""
            frame = None
            continue
        if frame is not None:
            raise OutputError("announced data twice for one answer")
        if size > limits().frame:
            raise OutputError(f"announced {size} bytes of data, where {limits().frame} are expected at most")
        frame = _exactly(stream, rest, size)


def parsed(line: bytes, limits: Limits) -> dict[str, Any]:
    """The object in a line. Raises OutputError."""
    if sum(line.count(mark) for mark in (b",", b"[", b"{", b'"')) > limits.values:
        raise OutputError(f"answered more than {limits.values} values: {_shown(line)}")
    try:
        answer = json.loads(line)
    # also raised for numbers with too many digits and for deep nesting
    except (ValueError, RecursionError) as e:
        raise OutputError(f"answered {_shown(line)}") from e
    if not isinstance(answer, dict):
        raise OutputError(f"answered {_shown(line)}")
    return answer


def last_words(stream: IO[bytes], most: int, heard: Callable[[bytes], None]) -> None:
    """Call `heard` with the last `most` bytes of the stream whenever there are more."""
    tail = b""
    while piece := _read(stream, _PIECE):
        tail = (tail + piece)[-most:]
        heard(tail)


def _line(stream: IO[bytes], rest: bytearray, limits: Callable[[], Limits]) -> bytes:
    """The next line with its newline, which the last one may lack; empty at the end of the stream."""
    searched = 0
    while (end := rest.find(b"\n", searched)) < 0:
        searched = len(rest)
        piece = _read(stream, _PIECE) if searched <= limits().line else b""
        rest += piece
        if not piece:
            break
    size = end + 1 or len(rest)
    most = limits().line
    if size > most:
        what = f"answered more than {most} bytes" if most else "answered without being asked"
        raise OutputError(f"{what}: {_shown(rest)}")
    return _taken(rest, size)


def _exactly(stream: IO[bytes], rest: bytearray, size: int) -> bytes:
    """`size` bytes; fewer at the end of the stream."""
    begun = _taken(rest, size)
    return begun + stream.read(size - len(begun))


def _read(stream: IO[bytes], most: int) -> bytes:
    """What there is, at least one byte; empty at the end of the stream."""
    piece: bytes = stream.read1(most)  # type: ignore[attr-defined]
    return piece


def _taken(rest: bytearray, size: int) -> bytes:
    taken = bytes(rest[:size])
    del rest[:size]
    return taken


def _frame_size(line: bytes) -> int | None:
    """The frame size that a line announces; None if it announces none."""
    digits = line[1:-1]
    return int(digits) if line[:1] == b"#" and digits.isdigit() and len(digits) <= _DIGITS else None


def _shown(line: bytes | bytearray) -> str:
    return repr(line[:200].decode("utf-8", "replace"))
