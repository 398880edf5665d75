"""What a program or library for 64-bit Linux needs to run: read from its dynamic section.

Source: the ELF-64 object file format; all architectures that edgekd makes bundles for are little-endian.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_LOAD, _DYNAMIC, _INTERPRETER = 1, 2, 3
_NEEDED, _STRINGS = 1, 5


@dataclass(frozen=True)
class Needs:
    """What the dynamic loader is asked for."""

    libraries: tuple[str, ...]
    loader: str | None
    """Its path, in a program."""


def needs(file: Path) -> Needs | None:
    """What a file needs; None if it is no program or library for 64-bit Linux."""
    with file.open("rb") as opened:
        if opened.read(len(_MAGIC)) != _MAGIC:
            return None
    data = file.read_bytes()
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<II4Q", data, table + i * size) for i in range(count)]
    loader = next((_text(data, offset) for kind, _, offset, *_ in segments if kind == _INTERPRETER), None)
    dynamic = next(((offset, length) for kind, _, offset, _, _, length in segments if kind == _DYNAMIC), (0, 0))
    entries = list(struct.iter_unpack("<QQ", data[dynamic[0] : sum(dynamic)]))
    strings = next((_offset(segments, value) for tag, value in entries if tag == _STRINGS), 0)
    return Needs(tuple(_text(data, strings + value) for tag, value in entries if tag == _NEEDED), loader)


def _offset(segments: list[tuple[int, ...]], address: int) -> int:
    """Where in the file that address of its memory is."""
    for kind, _, offset, start, _, length in segments:
        if kind == _LOAD and start <= address < start + length:
            return offset + address - start
    return 0


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode()
