"""How fast a stage is, and how long it still takes."""

from dataclasses import dataclass


@dataclass
class Pace:
    """The pace of one stage since it started."""

    started: float
    """Seconds of a monotonic clock."""
    done: int = 0
    total: int = 0
    detail: str = ""
    _first: tuple[float, int] | None = None
    _last: float = 0.0

    def advance(self, now: float, done: int, total: int, detail: str = "") -> None:
        """`done` of `total` units are finished; fewer than before, or of another total: it begins again."""
        if self._first is None or done < self.done or total != self.total:
            self._first = now, done
        self.done, self.total, self.detail, self._last = done, total, detail, now

    def told(self) -> str:
        """How far it is, with rate and time left once they can be computed; empty if it doesn't say how far it is."""
        if self._first is None:
            return ""
        began, at_first = self._first
        text = f"{self.done} of {self.total}{pace(self._last - began, self.done - at_first, self.total - self.done)}"
        return f"{text}, {self.detail}" if self.detail else text


def pace(seconds: float, done: int, left: int) -> str:
    """Rate and time left, once they can be computed."""
    if done <= 0 or seconds <= 0:
        return ""
    rate = f"{done / seconds:,.0f}/s" if done >= 10 * seconds else _slow(seconds / done)
    return f", {rate}, {clock(left * seconds / done)} left"


def _slow(each_s: float) -> str:
    return f"{1 / each_s:.2g}/s" if each_s < 1 else f"{each_s:.2g} s each" if each_s < 10 else f"{each_s:.0f} s each"


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, or hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
