from pathlib import Path

import pytest
import torch

from edgekd.errors import StorageError
from edgekd.training.cache import open_cache

MADE_BY = {"teacher": "a", "augmentation": {"pad": 2}, "seed": 0}


def test_logits_come_back_exactly(tmp_path: Path) -> None:
    logits = torch.randn(7, 3)
    open_cache(tmp_path / "new" / "folder", MADE_BY).write(1, logits)
    again = open_cache(tmp_path / "new" / "folder", MADE_BY)
    found = again.read(1, 7)
    assert found is not None
    assert torch.equal(found, logits)
    assert again.read(2, 7) is None
    assert again.read(1, 8) is None


def test_cache_of_another_making_is_refused_with_what_differs(tmp_path: Path) -> None:
    open_cache(tmp_path, MADE_BY)
    with pytest.raises(StorageError, match="made with another augmentation, teacher") as e:
        open_cache(tmp_path, {**MADE_BY, "teacher": "b", "augmentation": {"pad": 4}})
    assert str(tmp_path) in e.value.hint
    (tmp_path / "made-by.json").write_text("{")
    with pytest.raises(StorageError, match="made with another edgekd"):
        open_cache(tmp_path, MADE_BY)


def test_damaged_file_counts_as_not_there(tmp_path: Path) -> None:
    cache = open_cache(tmp_path, MADE_BY)
    cache.write(1, torch.randn(7, 3))
    file = tmp_path / "epoch-0001.npy"
    whole = file.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not an array"):
        file.write_bytes(content)
        assert cache.read(1, 1) is None


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    import numpy as np

    cache = open_cache(tmp_path, MADE_BY)
    np.save(tmp_path / "epoch-0001.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert cache.read(1, 1) is None


def test_full_or_forbidden_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        open_cache(tmp_path / "file" / "cache", MADE_BY)
