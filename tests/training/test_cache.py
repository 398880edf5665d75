import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.errors import StorageError
from edgekd.progress import Silent
from edgekd.training import cache as caching
from edgekd.training.cache import TeacherCache, make_room


def opened(folder: Path) -> TeacherCache:
    return TeacherCache(folder, Silent())


def test_logits_come_back_exactly(tmp_path: Path) -> None:
    logits = torch.randn(7, 3)
    opened(tmp_path / "new" / "folder").write(1, logits)
    again = opened(tmp_path / "new" / "folder")
    found = again.read(1, 7)
    assert found is not None
    assert torch.equal(found, logits)
    assert again.read(2, 7) is None
    assert again.read(1, 8) is None


def test_damaged_file_counts_as_not_there(tmp_path: Path) -> None:
    cache = opened(tmp_path)
    cache.write(1, torch.randn(7, 3))
    file = tmp_path / "epoch-0001.npy"
    whole = file.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not an array"):
        file.write_bytes(content)
        assert cache.read(1, 1) is None


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "epoch-0001.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert opened(tmp_path).read(1, 1) is None


def test_full_or_forbidden_folder_is_a_storage_error_which_is_told_once(
    tmp_path: Path, listener: Callable[[], Any]
) -> None:
    (tmp_path / "file").write_text("")
    told = listener()
    cache = TeacherCache(tmp_path / "file" / "cache", told)
    with pytest.raises(StorageError):
        cache.write(1, torch.zeros(1, 1))
    for epoch in (1, 2):
        cache.keep(epoch, torch.zeros(1, 1))
    (note,) = told.notes
    assert "no longer cached" in note
    assert not cache.keeps


def test_what_was_used_least_recently_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 0
    for age, name in enumerate(("own", "new", "old")):
        opened(tmp_path / name).write(1, torch.zeros(100, 10))
        file = tmp_path / name / "epoch-0001.npy"
        size = file.stat().st_size
        os.utime(file, (1_000_000 - age, 1_000_000 - age))
    opened(tmp_path / "old").read(1, 100)  # so that it is the newest
    monkeypatch.setattr(caching, "_ALL_BYTES", 2 * size)
    assert not make_room(tmp_path, 2 * size + 1, but=tmp_path / "own")
    assert len(list(tmp_path.glob("*/*"))) == 3
    assert make_room(tmp_path, size, but=tmp_path / "own")
    assert {path.parent.name for path in tmp_path.glob("*/*")} == {"own", "old"}
    assert make_room(tmp_path / "none", size, but=tmp_path / "none" / "own")
