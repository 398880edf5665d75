import hashlib
import os
import time
from pathlib import Path

import pytest

from edgekd.data import contents as module
from edgekd.data.contents import contents
from edgekd.errors import StorageError

OLD = 1_500_000_000 * 10**9


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two files whose hashes are in the cache: nothing of them is new."""
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "_RACY_SECONDS", 0.0)
    paths = [tmp_path / "a.bin", tmp_path / os.fsdecode(b"\xff.bin")]
    for path in paths:
        path.write_bytes(bytes(5000) + os.fsencode(path.name))
        os.utime(path, ns=(OLD, OLD))
    assert contents(paths, tmp_path) == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return paths


def test_files_that_did_not_change_are_not_read_again(known: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(known, known[0].parent)
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("read"))
    assert contents(known, known[0].parent) == before


def test_a_change_behind_the_first_pages_that_keeps_size_and_time_is_seen(known: list[Path]) -> None:
    before = contents(known, known[0].parent)
    with known[0].open("r+b") as file:
        file.seek(4990)
        file.write(b"x")
    os.utime(known[0], ns=(OLD, OLD))
    after = contents(known, known[0].parent)
    assert after[0] == hashlib.sha256(known[0].read_bytes()).hexdigest() != before[0]
    assert after[1] == before[1]


def test_what_was_just_written_is_not_remembered(known: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RACY_SECONDS", 1000.0)
    known[0].write_bytes(b"new")
    assert contents(known, known[0].parent)[0] == hashlib.sha256(b"new").hexdigest()
    (memory,) = (known[0].parent / "cache" / "contents").iterdir()
    assert "a.bin" not in memory.read_text()


def test_what_was_just_written_is_not_remembered_however_long_reading_all_takes(
    known: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RACY_SECONDS", 0.1)
    content = module._content
    monkeypatch.setattr(module, "_content", lambda *given: (time.sleep(0.2), content(*given))[1])
    known[0].write_bytes(b"new")
    contents(known, known[0].parent)
    (memory,) = (known[0].parent / "cache" / "contents").iterdir()
    assert "a.bin" not in memory.read_text()


@pytest.mark.parametrize("damage", [b"{", b"[]", b"\xff"])
def test_a_damaged_memory_is_made_again(known: list[Path], damage: bytes) -> None:
    before = contents(known, known[0].parent)
    (memory,) = (known[0].parent / "cache" / "contents").iterdir()
    memory.write_bytes(damage)
    assert contents(known, known[0].parent) == before


def test_a_pipe_is_named_and_not_waited_for(known: list[Path]) -> None:
    os.mkfifo(known[0].parent / "pipe.png")
    with pytest.raises(StorageError, match=r"pipe\.png: can't be read: not a regular file"):
        contents([known[0].parent / "pipe.png"], known[0].parent)


def test_a_file_that_cannot_be_read_is_named(known: list[Path]) -> None:
    known[0].unlink()
    with pytest.raises(StorageError, match=r"a\.bin: can't be read"):
        contents(known, known[0].parent)
