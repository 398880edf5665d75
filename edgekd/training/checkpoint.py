"""What a training needs to go on after the last whole epoch as if it had never stopped."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgekd.files import write_bytes


@dataclass(frozen=True)
class State:
    """A training after some whole epochs. `key` says which training: see `engine.train`."""

    key: str
    history: list[dict[str, Any]]
    """One JSON document of `epoch.Epoch` for each epoch done."""
    model: dict[str, Any]
    best: dict[str, Any]
    """The model's state after the best epoch."""
    optimizer: dict[str, Any]
    objective: dict[str, Any]
    """Projections that some losses learn."""


def write_state(path: Path, state: State) -> None:
    """Write a checkpoint all or nothing.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    content = io.BytesIO()
    torch.save(vars(state), content)
    write_bytes(path, content.getvalue())


def read_state(path: Path, key: str) -> State | None:
    """The checkpoint in this file if it is one of the training `key`; None otherwise, or if the file can't be used."""
    try:
        state = State(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # torch raises many kinds for a damaged file
        # it costs the epochs it held, nothing else: the training starts again, and says so
        return None
    return state if state.key == key else None
