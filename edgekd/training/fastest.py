"""Times ways of execution in turns and takes the fastest."""

import statistics
import time
from collections.abc import Callable, Mapping

import torch

from edgekd.errors import UnsupportedModelError
from edgekd.training.device import on_threads
from edgekd.values.training import Execution

_ROUNDS = 3
_DISCARD = 4.0  # alternatives slower by this factor after one round are not timed again

Job = Callable[[Execution], Callable[[], object]]
"""Prepares work for one way of execution; the returned function does it once."""


def fastest(ways: Mapping[str, Execution], job: Job, images: int, rates: dict[str, float]) -> Execution:
    """The way with the smallest median time over a few alternating rounds; adds images per second to `rates`."""
    if len(ways) == 1:
        return next(iter(ways.values()))
    prepared = {name: job(way) for name, way in ways.items()}
    seconds = _first_times(ways, prepared)
    limit = _DISCARD * min(first for (first,) in seconds.values())
    remaining = [name for name, (first,) in seconds.items() if first <= limit]
    for _ in range(_ROUNDS - 1):
        for name in remaining:
            seconds[name].append(_timed(prepared[name], ways[name].threads))
    found = {name: images / statistics.median(times) for name, times in seconds.items()}
    rates.update(found)
    return ways[max(found, key=found.__getitem__)]


def timed_rate(way: Execution, job: Job, images: int) -> float:
    """Images per second of one way, timed once."""
    ((seconds,),) = _first_times({"": way}, {"": job(way)}).values()
    return images / seconds


def _first_times(ways: Mapping[str, Execution], prepared: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """One time, after a warm-up, of each way that doesn't fail."""
    seconds: dict[str, list[float]] = {}
    for name, run in prepared.items():
        try:
            _timed(run, ways[name].threads)
        except UnsupportedModelError as e:
            # perhaps an operation has no kernel for this precision or memory format
            problem = e
        else:
            seconds[name] = [_timed(run, ways[name].threads)]
    if not seconds:
        raise problem
    return seconds


def _timed(run: Callable[[], object], threads: int | None) -> float:
    with on_threads(threads):
        start = time.perf_counter()
        run()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter() - start
