"""Tracking that can't end a training: a tracker that fails is told of once, and told nothing any more."""

from collections.abc import Callable, Mapping

from edgekd.progress import Progress
from edgekd.training.trackers._base import Tracker


class Attended:
    """A tracker until it fails; satisfies `Tracker`.

    Args:
        tracker: which is told of the training.
        name: what it is called.
        progress: hears of its failure.
    """

    def __init__(self, tracker: Tracker, name: str, progress: Progress) -> None:
        self._tracker, self._name, self._progress = tracker, name, progress
        self._fails = False

    def epoch(self, number: int, values: Mapping[str, float]) -> None:
        """As `Tracker.epoch`."""
        self._tell(lambda: self._tracker.epoch(number, values))

    def close(self) -> None:
        """As `Tracker.close`."""
        self._tell(self._tracker.close)

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._fails:
            return
        try:
            tell()
        except Exception as e:  # a server's client may raise anything
            self._fails = True
            said = (str(e).splitlines() or [""])[0]
            what = f"--track {self._name}: {type(e).__name__}: {said}"
            self._progress.warn(f"{what}: the rest of this training isn't tracked")
