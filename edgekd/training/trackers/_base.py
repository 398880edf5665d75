"""The interface of a tracker: a module in `edgekd/training/trackers/`, whose file name is the value of `--track`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edgekd.catalog import Kind


class Tracker(Protocol):
    """The tracking of one training."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """Record the values of an epoch (from 1) by name. Epochs before a restart are not recorded again."""

    def close(self) -> None:
        """The training ended, or stopped."""


class TrackerModule(Protocol):
    """The members of a tracker's module."""

    def begin(self, folder: Path, name: str, settings: Mapping[str, Any]) -> Tracker:
        """Start tracking a training, or resume it.

        Args:
            folder: the run's folder for trackers.
            name: the training's name within the run.
            settings: the training's settings, JSON-able.

        Raises:
            EdgekdError: the tool isn't set up.
            StorageError: the folder isn't writable.
        """


TRACKERS = Kind[TrackerModule]("training.trackers", "tracker")
