"""Event files for TensorBoard: `tensorboard --logdir RUN/track`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from edgekd.files import writing


class Events:
    """The event files of one training; satisfies `Tracker`."""

    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """As `Tracker.epoch`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, number)
        self._writer.flush()

    def close(self) -> None:
        """As `Tracker.close`."""
        self._writer.close()


def begin(folder: Path, name: str, settings: Mapping[str, Any]) -> Events:
    """As `TrackerModule.begin`."""
    with writing(folder):
        writer = SummaryWriter(str(folder / name))
    writer.add_text("settings", f"```json\n{json.dumps(settings, indent=1)}\n```")
    return Events(writer)
