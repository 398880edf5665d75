"""Checkpoints: what a training needs to resume after the last complete epoch as if it had never stopped."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgekd.files import write_bytes


@dataclass(frozen=True)
class State:
    """A training after some complete epochs. `key` identifies the training: see `engine.train`."""

    key: str
    history: list[dict[str, Any]]
    """One JSON document of `epoch.Epoch` for each epoch done."""
    model: dict[str, Any]
    best: dict[str, Any]
    """The state of the evaluated network after the best epoch."""
    optimizer: dict[str, Any]
    objective: dict[str, Any]
    """Parameters of the losses' projections."""
    average: dict[str, Any]
    """The state of the averaged model; empty if none is averaged."""


def write_state(path: Path, state: State) -> None:
    """Write a checkpoint atomically.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    content = io.BytesIO()
    torch.save(vars(state), content)
    write_bytes(path, content.getvalue())


def read_state(path: Path, key: str) -> State | None:
    """The checkpoint in this file if it belongs to the training `key`; None otherwise, or if the file is unusable."""
    try:
        state = State(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception:  # torch raises many kinds of errors for a damaged file
        # only its epochs are lost: the training starts again and reports it
        return None
    return state if state.key == key else None
