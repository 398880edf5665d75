"""The agent: opens one artifact on a device, runs it and reports the latencies.

It is started as `python <this folder> --runtime <module of edgekd.runtimes>`, or without a runtime to describe the
device, and answers each request on stdin with a line on stdout (see `protocol`; `edgekd.devices.client` is the host
side). One process is one launch of one artifact. The agent sends raw samples; the host computes all statistics. It
runs on the device and needs only Python ≥ 3.8, the standard library and that runtime.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import re
import sys
import tempfile
import time
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekd.devices.agent import (
        board,
        energy,
        engines,
        evaluation,
        fitting,
        host,
        inputs,
        lease,
        protocol,
        state,
        stored,
        system,
    )
else:  # on a device this folder is all there is
    import board
    import energy
    import engines
    import evaluation
    import fitting
    import host
    import inputs
    import lease
    import protocol
    import state
    import stored
    import system

_STEADY = 0.02  # the warm-up ends when the medians of two consecutive windows differ by less
_COLD = 0.1  # untimed fraction of a block: another artifact ran before it and filled the caches
_COLD_INFERENCES = 3  # untimed inferences of a trace


class Agent:
    """One launch of one artifact; each public method answers the request of its name in `protocol.REQUESTS`."""

    def __init__(self, runtime: str, cache: str | None) -> None:
        self._runtime_path, self._cache = runtime, cache
        self._evaluation: evaluation.Evaluation | None = None
        self._keeper = lease.Keeper()

    def describe(self, _: protocol.Describe) -> protocol.Described:
        """The host and the runtime, which is imported."""
        self._runtime = _module(self._runtime_path)
        return protocol.Described(system.describe(), _described(self._runtime))

    def survey(self, request: protocol.Survey) -> protocol.Surveyed:
        """The host, the runtimes that can be imported, why the others can't, and the paths that exist."""
        found, unavailable = {}, {}
        for name, path in request.runtimes.items():
            try:
                module = _module(path)
                found[name] = _described(module, **getattr(module, "capabilities", dict)())
            except ModuleNotFoundError as e:
                # a runtime that looks itself for what it needs says what it is
                unavailable[name] = f"not installed: Python has no module {e.name}" if e.name else _with_hint(e)
            except Exception as e:  # importing a runtime can fail in any way
                unavailable[name] = f"it fails when imported: {type(e).__name__}: {_with_hint(e)}"
        exist = tuple(path for path in request.paths if os.path.exists(path))  # noqa: PTH110 - as in `exists`
        return protocol.Surveyed(system.describe(), board.describe(self._cache), found, unavailable, exist)

    def build(self, request: protocol.Build) -> protocol.Built:
        """An engine for the artifact, from the cache or newly built."""
        return engines.build(self._runtime, request, lambda taken: _shapes(taken, request.feeds), self._cache)

    def exists(self, request: protocol.Exists) -> protocol.Found:
        """Whether a file or folder exists on the device."""
        return protocol.Found(os.path.exists(request.path))  # noqa: PTH110 - Path.exists raises without permission

    def state(self, _: protocol.ReadState) -> protocol.StateRead:
        """The device's state, and whether it reports energy."""
        return protocol.StateRead(state.state(), energy.meter() is not None)

    def cpus(self, _: protocol.Cpus) -> protocol.UsableCpus:
        """The CPUs that can be given as `affinity`."""
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
        self._feeds = _feeds(session.inputs(), opening.feeds)
        self._run = session.run if opening.transfers else _computing(session, self._feeds)
        self._accelerator_ms = getattr(session, "accelerator_ms", None)
        self._on_accelerator: list[float] = []
        self._made_up = [] if opening.feeds.file else inputs.made_up_integers(session.inputs())
        shapes = {name: tuple(values.shape) for name, values in self._feeds.items()}
        return protocol.Loaded(load_ms, shapes, session.provider)

    def first(self, _: protocol.First) -> protocol.FirstRun:
        """The first inference after loading."""
        try:
            return protocol.FirstRun(self._timed(0)[0])
        except Exception as e:  # runtimes' errors have no common base class
            if self._made_up:
                fed = f"Its input was random integers for {', '.join(self._made_up)}"
                hint = f"{fed}: give valid values with --inputs FILE.npz"
                raise fitting.WrongInputsError(str(e), hint) from e
            raise

    def warmup(self, request: protocol.Warmup) -> protocol.Warmed:
        """Run inferences until their latency is stable, for at most `max_s` seconds, at the rate that will be timed.

        The device's state is read afterwards: the clock of a processor changes when load starts.
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
        """Timed inferences and their energy, and the canary before them.

        Untimed inferences come first, unless an inference is so long that cold caches don't matter. With a period, one
        inference starts every `period_s` seconds.
        """
        seconds, period_s = request.seconds, request.period_s
        canary_ms = state.canary_ms()
        if 2 * self._latency_ms < seconds * 1e3:
            self._timed(_COLD * seconds, period_s)
        meter = energy.meter()
        if meter:
            meter.start()
        self._on_accelerator.clear()
        samples = self._timed(seconds, period_s)
        energy_mj = meter.stop_mj() if meter else None
        accelerator_ms = median(self._on_accelerator) if self._on_accelerator else None
        return protocol.Timed(tuple(samples), energy_mj, canary_ms, accelerator_ms)

    def finish(self, _: protocol.Finish) -> protocol.Finished:
        """The peak memory of loading and running, and the device's final state."""
        return protocol.Finished(system.peak_bytes(self._mark), state.state())

    def trace(self, request: protocol.Trace) -> protocol.Traced:
        """The time of each node."""
        opening = request.opening
        if opening.affinity is not None:
            _pin(opening.affinity)
        with tempfile.TemporaryDirectory() as folder:
            session = self._runtime.open(opening.path, trace_in=folder, **opening.options)
            values, count, end = _feeds(session.inputs(), opening.feeds), 0, time.monotonic() + request.seconds
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
            self._evaluation = None  # frees the memory before the next one is opened
            self._evaluation = evaluation.Evaluation(self._runtime, request)
        return self._evaluation.outputs(request, frame)

    def acquire(self, request: protocol.Acquire) -> protocol.Leased:
        """Take the lease on the device if it is free."""
        return self._keeper.acquire(request)

    def renew(self, _: protocol.Renew) -> protocol.Leased:
        """Keep the lease."""
        return self._keeper.renew()

    def release(self, _: protocol.Release) -> protocol.Leased:
        """Give the lease back."""
        return self._keeper.release()

    def lease(self, _: protocol.ReadLease) -> protocol.Leased:
        """Who holds the lease."""
        return lease.read()

    def _timed(self, seconds: float, period_s: float | None = None) -> list[float]:
        """The latency in milliseconds of each inference during `seconds`, of at least one.

        With a period, an inference delayed by the previous one is timed from its scheduled start. Late wake-ups of the
        timer are not counted: the model doesn't cause them.
        """
        run, feeds, clock, accelerator_ms = self._run, self._feeds, time.perf_counter_ns, self._accelerator_ms
        period = None if period_s is None else int(period_s * 1e9)
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


class NoAcceleratorError(ValueError):
    """Transfers can't be left out where there are none. `hint` is the remedy."""

    hint = "Leave --no-transfers out: there is nothing to exclude."


def _computing(session: Any, feeds: Mapping[str, Any]) -> Callable[[Any], None]:
    """Inference on inputs that lie in the accelerator's memory already."""
    if not hasattr(session, "compute"):
        raise NoAcceleratorError(f"{session.provider} has no accelerator with memory of its own")
    session.place(feeds)
    return lambda _: session.compute()


def _feeds(taken: Sequence[Mapping[str, Any]], feeds: protocol.Feeds) -> dict[str, Any]:
    """The artifact's inputs: the values in a file on the device, or random ones of the given shapes and batch."""
    if feeds.file:
        return stored.file_feeds(taken, feeds.file)
    return inputs.random_feeds(taken, batch=feeds.batch, seed=feeds.seed, shapes=feeds.shapes)


def _shapes(taken: Sequence[Mapping[str, Any]], feeds: protocol.Feeds) -> dict[str, tuple[int, ...]]:
    """The shape of each input as `_feeds` feeds it."""
    if feeds.file:
        return {name: tuple(values.shape) for name, values in stored.file_feeds(taken, feeds.file).items()}
    return {name: tuple(shape) for name, shape in fitting.complete(taken, feeds.batch, feeds.shapes).items()}


class UnusableCpusError(ValueError):
    """CPUs that the device doesn't have, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _pin(cpus: tuple[int, ...]) -> None:
    """Run this process and its future threads only on these CPUs."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("CPU affinity is not supported on this system")
    usable = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(OSError):  # it knows none of them; it silently leaves out those that it doesn't know
        os.sched_setaffinity(0, cpus)
        if os.sched_getaffinity(0) == set(cpus):
            return
    raise UnusableCpusError(f"can't run on CPUs {list(cpus)}", f"Give --affinity some of these CPUs: {usable}.")


def _with_hint(error: Exception) -> str:
    hint = getattr(error, "hint", "")
    return f"{error}. {hint}" if hint else str(error)


def _described(runtime: Any, **more: Any) -> protocol.Runtime:
    facts = {**runtime.describe(), "builds": runtime.builds, "origin": system.origin(), **more}
    return protocol.read(protocol.Runtime, facts, "describe()")


def _module(path: str) -> Any:
    """The runtime's module at a path; one that is a package imports its other files relative to itself."""
    name = re.sub(r"\W", "_", f"edgekd_runtime_{path}")  # the path tells the packages of two runtimes apart
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
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
    except Exception as e:  # every failure is reported to the host
        text = str(e).strip()
        message = text if isinstance(e, ValueError) and text else f"{type(e).__name__}: {text}"
        return {"error": message, "hint": getattr(e, "hint", "")}, b""


def main() -> None:
    """Answer requests until stdin is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runtime", default="")
    parser.add_argument("--cache")
    options = parser.parse_args()
    agent = Agent(options.runtime, options.cache)
    # keeps the output of native libraries out of the answers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    gc.disable()  # a collection would disturb the timings; little garbage accumulates here
    for line, frame in host.framed():
        answer, attached = _answer(agent, line, frame)
        if len(attached):
            answers.write(b"#%d\n" % len(attached))
            answers.write(attached)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


main()
