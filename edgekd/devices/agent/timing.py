"""Inferences one after the other, or at a rate, and how long each one takes."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

_STEADY = 0.02  # the warm-up ends when the medians of two consecutive windows differ by less


class Timing:
    """An opened artifact with its inputs.

    Args:
        run: runs one inference on the inputs.
        feeds: the inputs.
        session: the runtime's session, which may know how long the accelerator computed.
    """

    def __init__(self, run: Any, feeds: Any, session: Any) -> None:
        self._run, self._feeds = run, feeds
        self._accelerator_ms = getattr(session, "accelerator_ms", None)
        self._on_accelerator: list[float] = []

    def samples(self, seconds: float, period_s: float | None = None) -> list[float]:
        """The latency in milliseconds of each inference during `seconds`, of at least one.

        With a period, an inference delayed by the previous one is timed from its scheduled start. Late wake-ups of the
        timer are not counted: the model doesn't cause them.
        """
        run, feeds, clock, accelerator_ms = self._run, self._feeds, time.perf_counter_ns, self._accelerator_ms
        period = None if period_s is None else int(period_s * 1e9)
        self._on_accelerator = []
        samples, queued = [], False
        due = clock()
        end = due + int(seconds * 1e9)
        while True:
            start = clock()
            run(feeds)
            stop = clock()
            samples.append(stop - (due if queued else start))
            if accelerator_ms is not None:
                self._on_accelerator.append(accelerator_ms())
            if stop >= end:
                return [ns / 1e6 for ns in samples]
            if period is not None:
                due += period
                queued = due <= stop
                if not queued:
                    time.sleep((due - stop) / 1e9)

    def until_steady(self, window_s: float, max_s: float, period_s: float | None) -> tuple[list[float], float]:
        """The samples until two consecutive windows have equal medians, for at most `max_s` seconds, and the last
        window's median.
        """
        end = time.monotonic() + max_s
        window = self.samples(window_s, period_s)
        samples = list(window)
        while time.monotonic() < end:
            previous, window = median(window), self.samples(window_s, period_s)
            samples += window
            if abs(median(window) - previous) < _STEADY * previous:
                break
        return samples, median(window)

    def on_accelerator_ms(self) -> float | None:
        """The median time on the accelerator of the last `samples`; None if the runtime doesn't report it."""
        return median(self._on_accelerator) if self._on_accelerator else None
