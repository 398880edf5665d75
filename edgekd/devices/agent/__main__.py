"""The agent: opens one artifact on a device, runs it and tells how long it took.

Started as `python <this folder> --runtime <a module of edgekd's runtimes>`; answers each JSON object on stdin with
one on stdout (`edgekd.worker` is the other end). One process is one launch of one artifact. It sends raw samples:
every statistic is the host's. It runs on the device, with Python ≥ 3.8, the standard library and that runtime only.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import inputs, system
else:  # on a device this folder is all there is
    import inputs
    import system

_STEADY = 0.02  # two windows whose medians differ by less are the end of the warm-up
_COLD = 0.1  # fraction of a turn that isn't timed: another artifact's left the caches without this one's weights


class Agent:
    """One launch of one artifact; the public methods are the requests that it answers."""

    def __init__(self, runtime: str) -> None:
        self._runtime_path = runtime

    def describe(self) -> dict[str, Any]:
        """The fields of `schema.Environment`."""
        self._runtime = _module(self._runtime_path)
        return {**system.describe(), **self._runtime.describe()}

    def exists(self, path: str) -> dict[str, Any]:
        """Whether there is such a file or folder on the device."""
        return {"exists": os.path.exists(path)}  # noqa: PTH110 - a Path answers False where it may not look

    def load(self, path: str, threads: int, spinning: bool, batch: int, seed: int) -> dict[str, Any]:
        """Open the artifact: time, inputs with the shapes that will be fed, clocks before."""
        before = {"throttle_count": system.throttle_count(), "governor": system.governor()}
        self._mark = system.mark_memory()
        start = time.perf_counter_ns()
        session = self._runtime.open(path, threads=threads, spinning=spinning)
        load_ms = (time.perf_counter_ns() - start) / 1e6
        self._run = session.run
        self._feeds = inputs.random_feeds(session.inputs(), batch=batch, seed=seed)
        shapes = {name: list(values.shape) for name, values in self._feeds.items()}
        return {"load_ms": load_ms, "inputs": shapes, **before}

    def first(self) -> dict[str, Any]:
        """The first inference after loading."""
        return {"first_ms": self._timed(0)[0]}

    def warmup(self, window_ms: float, max_s: float) -> dict[str, Any]:
        """Inferences until they take equally long, or for `max_s` seconds."""
        end = time.monotonic() + max_s
        window = self._timed(window_ms / 1e3)
        samples = list(window)
        while time.monotonic() < end:
            previous, window = median(window), self._timed(window_ms / 1e3)
            samples += window
            if abs(median(window) - previous) < _STEADY * previous:
                break
        self._latency_ms = median(window)
        return {"samples_ms": samples, "latency_ms": self._latency_ms}

    def block(self, seconds: float) -> dict[str, Any]:
        """Timed inferences, one after the other, for `seconds` or one inference if that takes longer.

        Some that aren't timed go before, unless they are so long that cold caches make no difference.
        """
        if 2 * self._latency_ms < seconds * 1e3:
            self._timed(_COLD * seconds)
        return {"samples_ms": self._timed(seconds)}

    def finish(self) -> dict[str, Any]:
        """Memory that loading and running took, clocks after."""
        return {
            "peak_bytes": system.peak_bytes(self._mark),
            "throttle_count": system.throttle_count(),
            "governor": system.governor(),
        }

    def _timed(self, seconds: float) -> list[float]:
        """Milliseconds of each inference, for so long but at least one."""
        run, feeds, clock = self._run, self._feeds, time.perf_counter_ns
        samples = []
        end = clock() + int(seconds * 1e9)
        while True:
            start = clock()
            run(feeds)
            stop = clock()
            samples.append(stop - start)
            if stop >= end:
                return [ns / 1e6 for ns in samples]


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("edgekd_runtime", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(agent: Agent, line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
        answer: dict[str, Any] = getattr(agent, request.pop("do"))(**request)
        return answer
    except Exception as e:  # whatever it is, the host must hear of it, and in words
        text = str(e).strip()
        return {"error": text if isinstance(e, ValueError) and text else f"{type(e).__name__}: {text}"}


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", required=True)
    agent = Agent(parser.parse_args().runtime)
    # what a native library prints mustn't get into the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    gc.disable()  # a collection within a timing would count; what piles up here is little
    for line in sys.stdin:
        answers.write(json.dumps(_answer(agent, line)) + "\n")
        answers.flush()


main()
