"""How long a command still takes: an estimate that becomes better as it goes, and says at the end how wrong it was.

A training is as fast as its first batches were, or as the training before; a measurement takes what its protocol
declares; what was done before with the same variants takes as long again. Nothing else is guessed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgekd.progress import Progress, about

_FEWEST_S = 2.0
"""Of a training before its rate is believed: the first batches allocate memory and choose kernels."""
_CHANGED = 0.2
"""An estimate that differs by this share of the last one is said again."""


@dataclass(frozen=True)
class Phase:
    """A part of a command."""

    name: str
    what: str
    begins: tuple[str, ...]
    """Names of the stages that it begins with."""
    images: int = 0
    """That are trained on, over all epochs."""
    trains: str = ""
    """The name of the stage that reports them."""
    measuring_s: float = 0.0
    """As protocols declare it."""
    like: str = ""
    """The phase before that did the same."""


class Forecast:
    """Progress that estimates how long the whole takes, and tells it to the one that it is of."""

    def __init__(self, progress: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress, self._clock, self._started = progress, clock, clock()
        self._phases: tuple[Phase, ...] = ()
        self._at, self._since, self._stage = -1, self._started, ""
        self._spent: dict[str, float] = {}
        self._training = _Training()
        self._first: tuple[float, float] | None = None
        self._said: float | None = None

    def plan(self, phases: Sequence[Phase]) -> None:
        """Say what will be done, and about how long what is known of it takes."""
        self._phases = tuple(phases)
        for number, phase in enumerate(phases, 1):
            self._progress.note(f"{number}. {phase.name}: {phase.what}")
        measuring = sum(phase.measuring_s for phase in phases)
        trains = any(phase.images for phase in phases)
        known = f"measuring takes about {about(measuring)} by its protocol" if measuring else "nothing is measured"
        self._progress.note(f"estimate: {known}{'; trainings are timed when they begin' if trains else ''}")

    def end(self) -> None:
        """Say how long it took, and how wrong the first estimate was."""
        whole = self._clock() - self._started
        if self._first is None:
            return
        at, estimate = self._first
        off = (estimate - whole) / whole
        how = f"{abs(off):.0%} too {'long' if off > 0 else 'short'}" if abs(off) >= 0.005 else "right"
        self._progress.note(f"took {about(whole)}: the first estimate, after {about(at)}, was {about(estimate)}, {how}")

    def stage(self, name: str, text: str) -> None:
        """A stage of the pipeline starts, and with it perhaps another phase."""
        later = [i for i, phase in enumerate(self._phases) if name in phase.begins and i > self._at]
        before = [i for i, phase in enumerate(self._phases) if name in phase.begins and i <= self._at]
        if later or (before and before[-1] != self._at):
            self._enter(later[0] if later else before[-1])
        self._stage = name
        self._training.pause()
        self._progress.stage(name, text)

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units of the current stage are finished."""
        trains = self._at >= 0 and self._stage == self._phases[self._at].trains
        if trains:
            self._training.advance(self._clock(), done, total)
        if not trains or self._training.seconds >= _FEWEST_S:
            self._tell()
        self._progress.advance(done, total, detail)

    def note(self, text: str) -> None:
        """Passed on."""
        self._progress.note(text)

    def warn(self, text: str) -> None:
        """Passed on."""
        self._progress.warn(text)

    def forecast(self, seconds: float) -> None:
        """Passed on."""
        self._progress.forecast(seconds)

    def left(self) -> float | None:
        """Seconds that it still takes, by what is known; None before any training was timed."""
        if any(phase.images for phase in self._phases) and self._training.rate is None:
            return None
        rest = [self._expected(phase) for phase in self._phases[self._at + 1 :]]
        return self._left_of_this() + sum(rest)

    def _enter(self, index: int) -> None:
        now = self._clock()
        if self._at >= 0:
            name = self._phases[self._at].name
            self._spent[name] = self._spent.get(name, 0.0) + now - self._since
        self._at, self._since = index, now
        self._training.begin()
        self._tell()

    def _tell(self) -> None:
        """The estimate to whoever shows it; as a line where it is new, or has changed much."""
        if (left := self.left()) is None:
            return
        self._progress.forecast(left)
        spent = self._clock() - self._started
        whole = spent + left
        self._first = self._first or (spent, whole)
        if self._said is None or abs(whole - self._said) > _CHANGED * self._said:
            self._said = whole
            self._progress.note(f"estimate: about {about(whole)} in all, {about(left)} left")

    def _expected(self, phase: Phase) -> float:
        """Seconds of a phase that hasn't begun, or begins again."""
        if phase.name in self._spent:
            return self._spent[phase.name]
        training = phase.images / self._training.rate if phase.images and self._training.rate else 0.0
        return training + phase.measuring_s + self._spent.get(phase.like, 0.0)

    def _left_of_this(self) -> float:
        if self._at < 0:
            return 0.0
        phase = self._phases[self._at]
        if phase.images and self._training.rate and self._training.seen:
            return max(phase.images - self._training.seen, self._training.to_do) / self._training.rate
        return max(0.0, self._expected(phase) - (self._clock() - self._since))


@dataclass
class _Training:
    """The pace of trainings, by the images that they report."""

    rate: float | None = None
    """Images per second, of the last training that was timed."""
    seconds: float = 0.0
    """That the current one was timed."""
    seen: int = 0
    """Images of this phase, of all of its trainings."""
    to_do: int = 0
    """Images of the current training that are left."""
    _timed: int = 0
    _last: tuple[float, int] | None = None

    def begin(self) -> None:
        """Another phase begins."""
        self.seconds, self.seen, self.to_do, self._timed, self._last = 0.0, 0, 0, 0, None

    def pause(self) -> None:
        """Another stage begins: the time until its first report isn't a training's."""
        self._last = None

    def advance(self, now: float, done: int, total: int) -> None:
        """`done` of `total` images are done; fewer than before are another training's."""
        if self._last is not None and done >= self._last[1]:
            before, seen = self._last
            self.seconds, self._timed = self.seconds + now - before, self._timed + done - seen
            self.seen += done - seen
        else:
            self.seen += done
        self._last, self.to_do = (now, done), total - done
        if self.seconds > 0 and self._timed:
            self.rate = self._timed / self.seconds
