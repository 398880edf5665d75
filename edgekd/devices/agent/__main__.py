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
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekd.devices.agent import energy, fitting, host, inputs, state, stored, system
else:  # on a device this folder is all there is
    import energy
    import fitting
    import host
    import inputs
    import state
    import stored
    import system

_STEADY = 0.02  # two windows whose medians differ by less are the end of the warm-up
_COLD = 0.1  # fraction of a turn that isn't timed: another artifact's left the caches without this one's weights
_COLD_INFERENCES = 3  # of a trace, which aren't counted


class Agent:
    """One launch of one artifact; the public methods are the requests that it answers."""

    def __init__(self, runtime: str) -> None:
        self._runtime_path = runtime

    def describe(self) -> dict[str, Any]:
        """The fields of `values.Environment`."""
        self._runtime = _module(self._runtime_path)
        return {**system.describe(), **self._runtime.describe()}

    def exists(self, path: str) -> dict[str, Any]:
        """Whether there is such a file or folder on the device."""
        return {"exists": os.path.exists(path)}  # noqa: PTH110 - a Path answers False where it may not look

    def state(self) -> dict[str, Any]:
        """The fields of `values.State`, and whether the device tells what energy it takes."""
        return {"state": state.state(), "energy": energy.meter() is not None}

    def cpus(self) -> dict[str, Any]:
        """The CPUs that can be asked for as `affinity`, and whether they are all of one kind."""
        return system.cpus()

    def load(
        self, path: str, options: dict[str, Any], feeds: dict[str, Any], affinity: list[int] | None = None
    ) -> dict[str, Any]:
        """Open the artifact: time, inputs with the shapes that will be fed.

        `options` are those of the runtime's `open`; `feeds` says what to feed it: see `_feeds`.
        """
        if affinity is not None:
            _pin(affinity)
        self._mark = system.mark_memory()
        start = time.perf_counter_ns()
        session = self._runtime.open(path, **options)
        load_ms = (time.perf_counter_ns() - start) / 1e6
        self._run = session.run
        self._feeds = _feeds(session, feeds)
        self._made_up = [] if feeds.get("file") else inputs.made_up_integers(session.inputs())
        shapes = {name: list(values.shape) for name, values in self._feeds.items()}
        return {"load_ms": load_ms, "inputs": shapes, "provider": session.provider}

    def first(self) -> dict[str, Any]:
        """The first inference after loading."""
        try:
            return {"first_ms": self._timed(0)[0]}
        except Exception as e:  # of the runtime, with no base class of its own
            if self._made_up:
                fed = f"It was fed random integers as {', '.join(self._made_up)}"
                hint = f"{fed}: give values that it takes with --inputs FILE.npz"
                raise fitting.WrongInputsError(str(e), hint) from e
            raise

    def warmup(self, window_ms: float, max_s: float, period_s: float | None = None) -> dict[str, Any]:
        """Inferences until they take equally long, or for `max_s` seconds; as often as they will be timed.

        The device's state comes after them: a processor that has just begun to work hard has another clock.
        """
        end = time.monotonic() + max_s
        window = self._timed(window_ms / 1e3, period_s)
        samples = list(window)
        while time.monotonic() < end:
            previous, window = median(window), self._timed(window_ms / 1e3, period_s)
            samples += window
            if abs(median(window) - previous) < _STEADY * previous:
                break
        self._latency_ms = median(window)
        return {"samples_ms": samples, "latency_ms": self._latency_ms, "state": state.state()}

    def block(self, seconds: float, period_s: float | None = None) -> dict[str, Any]:
        """Timed inferences for `seconds`, or one inference if that takes longer, the energy that they took, and before
        them the canary.

        Some that aren't timed go before, unless they are so long that cold caches make no difference. With a period,
        one inference starts every so many seconds.
        """
        canary_ms = state.canary_ms()
        if 2 * self._latency_ms < seconds * 1e3:
            self._timed(_COLD * seconds, period_s)
        meter = energy.meter()
        if meter:
            meter.start()
        samples = self._timed(seconds, period_s)
        energy_mj = meter.stop_mj() if meter else None
        return {"samples_ms": samples, "energy_mj": energy_mj, "canary_ms": canary_ms}

    def finish(self) -> dict[str, Any]:
        """Memory that loading and running took, the device's state after."""
        return {"peak_bytes": system.peak_bytes(self._mark), "state": state.state()}

    def trace(
        self,
        path: str,
        options: dict[str, Any],
        feeds: dict[str, Any],
        seconds: float,
        affinity: list[int] | None = None,
    ) -> dict[str, Any]:
        """How long each node takes, from about `seconds` of inferences: the fields of `values.Trace`."""
        if affinity is not None:
            _pin(affinity)
        with tempfile.TemporaryDirectory() as folder:
            session = self._runtime.open(path, trace_in=folder, **options)
            values, count, end = _feeds(session, feeds), 0, time.monotonic() + seconds
            while count < _COLD_INFERENCES + 1 or time.monotonic() < end:
                session.run(values)
                count += 1
            return {"inferences": count - _COLD_INFERENCES, "nodes": session.nodes(_COLD_INFERENCES)}

    def _timed(self, seconds: float, period_s: float | None = None) -> list[float]:
        """Milliseconds of each inference, for so long but at least one.

        Paced, an inference that must wait for the one before it counts from when it was due. What the timer wakes
        late isn't counted: it isn't the model's.
        """
        run, feeds, clock = self._run, self._feeds, time.perf_counter_ns
        period = None if period_s is None else int(period_s * 1e9)
        samples, queued = [], False
        due = clock()
        end = due + int(seconds * 1e9)
        while True:
            start = clock()
            run(feeds)
            stop = clock()
            samples.append(stop - (due if queued else start))
            if stop >= end:
                return [ns / 1e6 for ns in samples]
            if period is not None:
                due += period
                queued = due <= stop
                if not queued:
                    time.sleep((due - stop) / 1e9)


def _feeds(session: Any, feeds: Mapping[str, Any]) -> dict[str, Any]:
    """What the artifact is fed: the values of a file on the device, or random ones of given shapes and batch."""
    if feeds.get("file"):
        return stored.file_feeds(session.inputs(), feeds["file"])
    return inputs.random_feeds(
        session.inputs(), batch=feeds.get("batch", 1), seed=feeds.get("seed", 0), shapes=feeds.get("shapes")
    )


def _pin(cpus: list[int]) -> None:
    """Run on these CPUs only, with all threads to come."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("this system can't keep a process on given CPUs")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as e:
        known = sorted(os.sched_getaffinity(0))
        raise ValueError(f"it can't run on CPUs {cpus}: {e.strerror}; there are {known}") from e


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
        told = text if isinstance(e, ValueError) and text else f"{type(e).__name__}: {text}"
        return {"error": told, "hint": getattr(e, "hint", "")}


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", required=True)
    agent = Agent(parser.parse_args().runtime)
    # what a native library prints mustn't get into the answers
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    gc.disable()  # a collection within a timing would count; what piles up here is little
    for line in host.requests():
        answers.write(json.dumps(_answer(agent, line)) + "\n")
        answers.flush()


main()
