"""The agent: opens one artifact on a device, runs it and reports how long it took.

Started as `python <this folder> --runtime <a module of edgekd's runtimes>`, or without one to say what the device is;
answers each request on stdin with a line
on stdout, as `protocol` says (`edgekd.devices.client` is the other end). One process is one launch of one artifact. It
sends raw samples: the host computes every statistic. It runs on the device, with Python ≥ 3.8, the standard library
and that runtime only.
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
    from edgekd.devices.agent import energy, engines, evaluation, fitting, host, inputs, protocol, state, stored, system
else:  # on a device this folder is all there is
    import energy
    import engines
    import evaluation
    import fitting
    import host
    import inputs
    import protocol
    import state
    import stored
    import system

_STEADY = 0.02  # two windows whose medians differ by less are the end of the warm-up
_COLD = 0.1  # fraction of a turn that isn't timed: another artifact's left the caches without this one's weights
_COLD_INFERENCES = 3  # of a trace, which aren't counted


class Agent:
    """One launch of one artifact; each public method answers the request of its name in `protocol.REQUESTS`."""

    def __init__(self, runtime: str, cache: str | None) -> None:
        self._runtime_path, self._cache = runtime, cache
        self._evaluation: evaluation.Evaluation | None = None

    def describe(self, _: protocol.Describe) -> protocol.Described:
        """What the device is, and its runtime, which is imported."""
        self._runtime = _module(self._runtime_path)
        return protocol.Described(system.describe(), _described(self._runtime))

    def survey(self, request: protocol.Survey) -> protocol.Surveyed:
        """What the device is, and which of the runtimes and of the paths it has."""
        found = {}
        for name, path in request.runtimes.items():
            try:
                found[name] = _described(_module(path))
            except Exception:  # whatever keeps a runtime from being imported, the device doesn't have it
                continue
        exist = tuple(path for path in request.paths if os.path.exists(path))  # noqa: PTH110 - as in `exists`
        return protocol.Surveyed(system.describe(), found, exist)

    def build(self, request: protocol.Build) -> protocol.Built:
        """An engine for the artifact, built if the device has none."""
        return engines.build(self._runtime, request, self._cache)

    def exists(self, request: protocol.Exists) -> protocol.Found:
        """Whether there is such a file or folder on the device."""
        return protocol.Found(os.path.exists(request.path))  # noqa: PTH110 - a Path answers False where it may not look

    def state(self, _: protocol.ReadState) -> protocol.StateRead:
        """The device's state, and whether it reports the energy that it takes."""
        return protocol.StateRead(state.state(), energy.meter() is not None)

    def cpus(self, _: protocol.Cpus) -> protocol.UsableCpus:
        """The CPUs that can be asked for as `affinity`."""
        return system.cpus()

    def load(self, request: protocol.Load) -> protocol.Loaded:
        """Open the artifact."""
        opening = request.opening
        if opening.affinity is not None:
            _pin(opening.affinity)
        self._mark = system.mark_memory()
        start = time.perf_counter_ns()
        session = self._runtime.open(opening.path, **opening.options)
        load_ms = (time.perf_counter_ns() - start) / 1e6
        self._run = session.run
        self._feeds = _feeds(session, opening.feeds)
        self._made_up = [] if opening.feeds.file else inputs.made_up_integers(session.inputs())
        shapes = {name: tuple(values.shape) for name, values in self._feeds.items()}
        return protocol.Loaded(load_ms, shapes, session.provider)

    def first(self, _: protocol.First) -> protocol.FirstRun:
        """The first inference after loading."""
        try:
            return protocol.FirstRun(self._timed(0)[0])
        except Exception as e:  # of the runtime, with no base class of its own
            if self._made_up:
                fed = f"It was fed random integers as {', '.join(self._made_up)}"
                hint = f"{fed}: give values that it takes with --inputs FILE.npz"
                raise fitting.WrongInputsError(str(e), hint) from e
            raise

    def warmup(self, request: protocol.Warmup) -> protocol.Warmed:
        """Inferences until they take equally long, or for `max_s` seconds; as often as they will be timed.

        The device's state comes after them: a processor that has just begun to work hard has another clock.
        """
        end, window_s = time.monotonic() + request.max_s, request.window_ms / 1e3
        window = self._timed(window_s, request.period_s)
        samples = list(window)
        while time.monotonic() < end:
            previous, window = median(window), self._timed(window_s, request.period_s)
            samples += window
            if abs(median(window) - previous) < _STEADY * previous:
                break
        self._latency_ms = median(window)
        return protocol.Warmed(tuple(samples), self._latency_ms, state.state())

    def block(self, request: protocol.Block) -> protocol.Timed:
        """Timed inferences, the energy that they took, and before them the canary.

        Some that aren't timed go before, unless they are so long that cold caches make no difference. With a period,
        one inference starts every so many seconds.
        """
        seconds, period_s = request.seconds, request.period_s
        canary_ms = state.canary_ms()
        if 2 * self._latency_ms < seconds * 1e3:
            self._timed(_COLD * seconds, period_s)
        meter = energy.meter()
        if meter:
            meter.start()
        samples = self._timed(seconds, period_s)
        energy_mj = meter.stop_mj() if meter else None
        return protocol.Timed(tuple(samples), energy_mj, canary_ms)

    def finish(self, _: protocol.Finish) -> protocol.Finished:
        """Memory that loading and running took, the device's state after."""
        return protocol.Finished(system.peak_bytes(self._mark), state.state())

    def trace(self, request: protocol.Trace) -> protocol.Traced:
        """How long each node takes."""
        opening = request.opening
        if opening.affinity is not None:
            _pin(opening.affinity)
        with tempfile.TemporaryDirectory() as folder:
            session = self._runtime.open(opening.path, trace_in=folder, **opening.options)
            values, count, end = _feeds(session, opening.feeds), 0, time.monotonic() + request.seconds
            while count < _COLD_INFERENCES + 1 or time.monotonic() < end:
                session.run(values)
                count += 1
            timed = count - _COLD_INFERENCES
            return protocol.read(protocol.Traced, {"inferences": timed, "nodes": session.nodes(_COLD_INFERENCES)})

    def evaluate(self, request: protocol.Evaluate, frame: bytes) -> tuple[protocol.Evaluated, memoryview]:
        """The outputs of an artifact for the inputs in the frame."""
        if self._evaluation is None or self._evaluation.opened != (request.path, request.options):
            if self._evaluation is not None:
                self._evaluation.close()
            self._evaluation = None  # never two at once in the device's memory
            self._evaluation = evaluation.Evaluation(self._runtime, request)
        return self._evaluation.outputs(request, frame)

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


def _feeds(session: Any, feeds: protocol.Feeds) -> dict[str, Any]:
    """What the artifact is fed: the values of a file on the device, or random ones of given shapes and batch."""
    if feeds.file:
        return stored.file_feeds(session.inputs(), feeds.file)
    return inputs.random_feeds(session.inputs(), batch=feeds.batch, seed=feeds.seed, shapes=feeds.shapes)


def _pin(cpus: tuple[int, ...]) -> None:
    """Run on these CPUs only, with all threads to come."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("this system can't keep a process on given CPUs")
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as e:
        known = sorted(os.sched_getaffinity(0))
        raise ValueError(f"it can't run on CPUs {list(cpus)}: {e.strerror}; there are {known}") from e


def _described(runtime: Any) -> protocol.Runtime:
    facts = {**runtime.describe(), "builds": runtime.builds}
    return protocol.read(protocol.Runtime, facts, "describe()")


def _module(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("edgekd_runtime", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _answer(agent: Agent, line: str, frame: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    """The answer to a request, and its frame."""
    try:
        request = protocol.read_request(json.loads(line))
        if isinstance(request, protocol.Evaluate):
            evaluated, outputs = agent.evaluate(request, frame)
            return protocol.document(evaluated), outputs
        return protocol.document(getattr(agent, protocol.name_of(request))(request)), b""
    except Exception as e:  # whatever it is, the host must hear of it, and in words
        text = str(e).strip()
        words = text if isinstance(e, ValueError) and text else f"{type(e).__name__}: {text}"
        return {"error": words, "hint": getattr(e, "hint", "")}, b""


def main() -> None:
    """Answer until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default="")
    parser.add_argument("--cache")
    options = parser.parse_args()
    agent = Agent(options.runtime, options.cache)
    # what a native library prints mustn't get into the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()  # a collection within a timing would count; what piles up here is little
    for line, frame in host.framed():
        answer, attached = _answer(agent, line, frame)
        if len(attached):
            answers.write(b"#%d\n" % len(attached))
            answers.write(attached)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


main()
