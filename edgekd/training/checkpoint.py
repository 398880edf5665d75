"""Checkpoints: what a training needs to resume after the last complete epoch as if it had never stopped."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgekd.files import write_bytes
from edgekd.training import ranks
from edgekd.training.prepare import Run


@dataclass(frozen=True)
class State:
    """A training after some complete epochs. `key` identifies the training: see `prepare.key_of`."""

    key: str
    history: list[dict[str, Any]]
    """One JSON document of `history.Epoch` for each epoch done."""
    model: dict[str, Any]
    best: dict[str, Any]
    """The state of the evaluated network after the best epoch."""
    optimizer: dict[str, Any]
    objective: dict[str, Any]
    """Parameters of the losses' projections."""
    average: dict[str, Any]
    """The state of the averaged model; empty if none is averaged."""
    lost_seconds: float = 0.0
    """As in `history.Trained`."""


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


def begin(run: Run, key: str) -> State:
    """The state to resume from: the checkpoint's, or the initial state."""
    state = ranks.broadcast(read_state(run.means.checkpoint, key))
    if state is None:
        if run.means.checkpoint.exists():
            run.means.progress.warn(f"{run.means.checkpoint} belongs to another training; starting from the beginning")
        return state_of(run, key)
    restore(run, state)
    return state


def state_of(run: Run, key: str) -> State:
    """The current state of the networks, without a history."""
    learner = run.learner
    parts = (learner.model, learner.optimizer, learner.objective)
    model, optimizer, objective = (part.state_dict() for part in parts)
    average = run.average.model.state_dict() if run.average else {}
    return State(key, [], model, {}, optimizer, objective, average)


def restore(run: Run, state: State) -> None:
    """Bring the networks and the optimizer into a state."""
    run.learner.model.load_state_dict(state.model)
    run.learner.objective.load_state_dict(state.objective)
    run.learner.optimizer.load_state_dict(state.optimizer)
    if run.average:
        run.average.model.load_state_dict(state.average)
