"""The same work on several devices at once: one report, and none is lost by another's failure."""

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from edgekd import catalog
from edgekd.devices.listed import Place, stated_target
from edgekd.errors import EdgekdError
from edgekd.pipeline.threads import at_once, wait
from edgekd.progress import Progress
from edgekd.values import Failure, Target

T = TypeVar("T")


def target_of(place: Place, stated: str | None) -> Target:
    """The target that a device is measured as.

    Raises:
        EdgekdError: neither the command nor the file names one, or there is none of that name.
    """
    name = stated or stated_target(place)
    if name is None:
        hint = "Give --target, or state a target for the device in devices.toml; `edgekd targets` lists them."
        raise EdgekdError(f"{place.title}: no target", hint)
    return catalog.target(name)


def on_each(places: Sequence[Place], work: Callable[[Place, Progress], T], progress: Progress) -> list[T | Failure]:
    """What the work gives on each device, in their order: all at once, those with the same URL one after another.

    Raises:
        EdgekdError: the same for all of them, as for a file that can't be read, or for the only one.
    """
    if len(places) == 1:
        return [work(places[0], progress)]
    together = _Together(progress, len(places))
    found: list[T | BaseException | None] = [None] * len(places)

    def run(of_one_device: Sequence[int]) -> None:
        for number in of_one_device:
            place = places[number]
            try:
                found[number] = work(place, _Part(together, number, place.title))
            except BaseException as e:  # raised again in the command's own thread, unless the user can mend it
                found[number] = e
                if not isinstance(e, EdgekdError):
                    return

    with at_once([partial(run, of_one) for of_one in _by_device(places)]) as works:
        wait(works, math.inf)
    return _reported(found)


def _by_device(places: Sequence[Place]) -> list[list[int]]:
    """The numbers of the places, those with one URL together: one device measures one thing at a time."""
    urls: dict[str, list[int]] = {}
    for number, place in enumerate(places):
        urls.setdefault(place.url, []).append(number)
    return [*urls.values()]


def _reported(found: Sequence[T | BaseException | None]) -> list[T | Failure]:
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, EdgekdError):
            raise one
    failures = [one for one in found if isinstance(one, EdgekdError)]
    if len(failures) == len(found) and len({failure.message for failure in failures}) == 1:
        raise failures[0]
    return [failure_of(one) if isinstance(one, EdgekdError) else one for one in found]  # type: ignore[misc]


def failure_of(error: EdgekdError) -> Failure:
    """An error of one device, as a value among the others' results."""
    return Failure(message=error.message, hint=error.hint, exit_code=error.exit_code)


class _Together:
    """One progress for all devices: how much of the work is done on average, and lines that say of which device."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress, self._lock = progress, threading.Lock()
        self._done = [0.0] * count

    def say(self, text: str) -> None:
        """One line."""
        with self._lock:
            self._progress.note(text)

    def warn(self, text: str) -> None:
        """One line that must be read."""
        with self._lock:
            self._progress.warn(text)

    def advance(self, number: int, fraction: float, detail: str) -> None:
        """A device has done such a fraction of its work."""
        with self._lock:
            self._done[number] = fraction
            self._progress.advance(int(100 * sum(self._done)), 100 * len(self._done), detail)


class _Part:
    """The progress of one device; see `progress.Progress`."""

    def __init__(self, together: _Together, number: int, name: str) -> None:
        self._together, self._number, self._name = together, number, name

    def stage(self, name: str, text: str) -> None:
        """A line."""
        self._together.say(f"{self._name}: {text}")

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """A share of all devices' work."""
        self._together.advance(self._number, done / total if total else 0, f"{self._name}: {detail}")

    def note(self, text: str) -> None:
        """A line."""
        self._together.say(f"{self._name}: {text}")

    def warn(self, text: str) -> None:
        """A line that must be read."""
        self._together.warn(f"{self._name}: {text}")

    def forecast(self, seconds: float) -> None:
        """No device's own: they work side by side."""
