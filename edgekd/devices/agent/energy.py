"""Energy consumption of a device, if it can be read without special permissions.

Sources: Intel and AMD RAPL through Linux's powercap (a counter, readable only by root on most systems); on a Jetson
the INA3221 monitors of the board's rails, sampled (see `rails`).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.devices.agent import rails, sysfs
else:  # on a device this folder is all there is
    import rails
    import sysfs

_SAMPLE_S = 0.02


class Counter:
    """Energy from the RAPL counters of whole packages."""

    def __init__(self, zones: list[Path]) -> None:
        self._zones = zones

    def start(self) -> None:
        """Start counting."""
        self._begun = [sysfs.number(zone / "energy_uj") for zone in self._zones]

    def stop_mj(self) -> float | None:
        """Millijoules since `start`; None if a counter can no longer be read."""
        total = 0.0
        for zone, begun in zip(self._zones, self._begun):
            now, largest = sysfs.number(zone / "energy_uj"), sysfs.number(zone / "max_energy_range_uj")
            if now is None or begun is None:
                return None
            total += now - begun if now >= begun else now - begun + (largest or 0)  # the counter wrapped
        return total / 1e3


class Sampler:
    """Energy from power sampled fifty times per second."""

    def __init__(self, summed: list[rails.Rail]) -> None:
        self._rails = summed

    def start(self) -> None:
        """Start sampling in a separate thread."""
        self._stopped = threading.Event()
        self._samples = [(time.perf_counter(), self._watts())]
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stop_mj(self) -> float | None:
        """Millijoules since `start`, by the trapezoidal rule; None if a rail can't be read."""
        self._stopped.set()
        self._thread.join()
        self._samples.append((time.perf_counter(), self._watts()))
        total = 0.0
        for (t0, w0), (t1, w1) in zip(self._samples, self._samples[1:]):
            if w0 is None or w1 is None:
                return None
            total += (t1 - t0) * (w0 + w1) / 2
        return total * 1e3

    def _sample(self) -> None:
        while not self._stopped.wait(_SAMPLE_S):
            self._samples.append((time.perf_counter(), self._watts()))

    def _watts(self) -> float | None:
        powers = [rail.watts() for rail in self._rails]
        known = [watts for watts in powers if watts is not None]
        return sum(known) if len(known) == len(powers) else None


def meter() -> Counter | Sampler | None:
    """The energy meter of this device; None if there is none."""
    summed = rails.whole()
    if summed:
        return Sampler(summed)
    # "intel-rapl:0" is a package; its part "intel-rapl:0:1" would be counted twice
    zones = [zone for zone in sysfs.found("sys/class/powercap", "*-rapl:*") if zone.name.count(":") == 1]
    packages = [zone for zone in zones if sysfs.text(zone / "name").startswith("package")]
    return Counter(packages) if packages and all(sysfs.number(z / "energy_uj") is not None for z in packages) else None
