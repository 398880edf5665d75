"""What a tracker is: a module in `edgekd/training/trackers/`, whose file name is what `--track` takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from edgekd.catalog import Kind


class Tracker(Protocol):
    """One training that is followed."""

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """The values of an epoch, from 1, by name. Epochs before a restart are not reported again."""

    def close(self) -> None:
        """The training ended, or stopped."""


class TrackerModule(Protocol):
    """The members of a tracker's module."""

    def begin(self, folder: Path, name: str, settings: Mapping[str, Any]) -> Tracker:
        """Follow a training, or resume following it.

        Args:
            folder: where the run keeps what its trackers write.
            name: of the training within the run.
            settings: of the training, JSON-able.

        Raises:
            EdgekdError: the tool isn't set up.
            StorageError: the folder isn't writable.
        """


TRACKERS = Kind[TrackerModule]("training.trackers", "tracker")
