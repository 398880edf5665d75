from pathlib import Path

import pytest
import torch
from torch import nn

from edgekd.errors import StorageError
from edgekd.training.checkpoint import State, read_state, write_state

STATE = State("key", [{"loss": 0.1}], {"weight": torch.ones(2)}, {"weight": torch.zeros(2)}, {"state": {}}, {}, {})


def test_state_comes_back(tmp_path: Path) -> None:
    write_state(tmp_path / "new folder" / "checkpoint.pt", STATE)
    state = read_state(tmp_path / "new folder" / "checkpoint.pt", "key")
    assert state is not None
    assert state.history == STATE.history
    assert torch.equal(state.best["weight"], torch.zeros(2))
    assert [f.name for f in (tmp_path / "new folder").iterdir()] == ["checkpoint.pt"]


def test_state_of_another_training_or_of_nothing_is_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    assert read_state(path, "key") is None
    write_state(path, STATE)
    assert read_state(path, "another key") is None


def test_damaged_files_are_none(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_state(path, STATE)
    whole = path.read_bytes()
    for content in (b"", b"not a checkpoint", whole[: len(whole) // 2], whole[:100]):
        path.write_bytes(content)
        assert read_state(path, "key") is None
    torch.save({"weight": torch.ones(2)}, path)
    assert read_state(path, "key") is None
    torch.save(nn.Linear(2, 2), path)
    assert read_state(path, "key") is None


def test_place_that_can_not_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_state(tmp_path / "file" / "checkpoint.pt", STATE)
