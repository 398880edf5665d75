"""The agent: opens one artifact on a device, runs it and reports the latencies.

It is started as `python <this folder> --runtime <module of edgekd.runtimes>`, or without a runtime to describe the
device, and answers each request on stdin with a line on stdout (see `protocol`; `edgekd.devices.client` is the host
side). One process is one launch of one artifact. The agent sends raw samples; the host computes all statistics. It
runs on the device and needs only Python ≥ 3.8, the standard library and that runtime.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import (
        alarms,
        board,
        energy,
        engines,
        evaluation,
        fitting,
        hashes,
        host,
        inputs,
        lease,
        opening,
        protocol,
        runtime_module,
        state,
        system,
        timing,
        waiting,
    )
else:  # on a device this folder is all there is
    import alarms
    import board
    import energy
    import engines
    import evaluation
    import fitting
    import hashes
    import host
    import inputs
    import lease
    import opening
    import protocol
    import runtime_module
    import state
    import system
    import timing
    import waiting

_COLD = 0.1  # untimed fraction of a block: another artifact ran before it and filled the caches
_COLD_INFERENCES = 3  # untimed inferences of a trace
_LONGEST_ERROR = 8_000  # characters
_ACCELERATORS = ("CUDAExecutionProvider", "TensorrtExecutionProvider")  # of ONNX Runtime, with memory of their own


class Agent:
    """One launch of one artifact; each public method answers the request of its name in `protocol.REQUESTS`."""

    def __init__(self, runtime: str, cache: str | None) -> None:
        self._runtime_path, self._cache = runtime, cache
        self._evaluation: evaluation.Evaluation | None = None
        self._keeper = lease.Keeper()

    def describe(self, _: protocol.Describe) -> protocol.Described:
        """The host and the runtime, which is imported."""
        self._runtime = runtime_module.imported(self._runtime_path)
        return protocol.Described(system.describe(), runtime_module.described(self._runtime))

    def survey(self, request: protocol.Survey) -> protocol.Surveyed:
        """The host, the runtimes that can be imported, why the others can't, and the paths that exist."""
        found, unavailable = {}, {}
        for name, path in request.runtimes.items():
            try:
                module = runtime_module.imported(path)
                found[name] = runtime_module.described(module, **getattr(module, "capabilities", dict)())
            except ModuleNotFoundError as e:
                # a runtime that searches for its own packages names the missing one
                missing = f"not installed: Python has no module {e.name}"
                unavailable[name] = missing if e.name else runtime_module.with_hint(e)
            except Exception as e:  # importing a runtime can fail in any way
                unavailable[name] = f"it fails when imported: {type(e).__name__}: {runtime_module.with_hint(e)}"
        exist = tuple(path for path in request.paths if os.path.exists(path))  # noqa: PTH110 - as in `exists`
        return protocol.Surveyed(system.describe(), board.describe(self._cache), found, unavailable, exist)

    def build(self, request: protocol.Build) -> protocol.Built:
        """An engine for the artifact, from the cache or newly built."""
        built = engines.build(
            self._runtime, request, lambda taken: opening.shapes_of(taken, request.feeds), self._cache
        )
        return dataclasses.replace(built, sha256=hashes.of(request.files))

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
        wanted = request.opening
        if wanted.affinity is not None:
            opening.pin(wanted.affinity)
        self._mark = system.mark_memory()
        start = time.perf_counter_ns()
        session = self._runtime.open(wanted.path, **wanted.options)
        load_ms = (time.perf_counter_ns() - start) / 1e6
        if hasattr(session, "compute") or session.provider in _ACCELERATORS:
            self._mark = None  # what an accelerator takes isn't this process's memory
        feeds = opening.feeds_of(session.inputs(), wanted.feeds)
        run = session.run if wanted.transfers else opening.computing(session, feeds)
        self._watch = alarms.Watch()
        self._timing = timing.Timing(run, feeds, session)
        self._made_up = [] if wanted.feeds.file else inputs.made_up_integers(session.inputs())
        shapes = {name: tuple(values.shape) for name, values in feeds.items()}
        return protocol.Loaded(load_ms, shapes, session.provider, hashes.of(request.files))

    def first(self, _: protocol.First) -> protocol.FirstRun:
        """The first inference after loading."""
        try:
            return protocol.FirstRun(self._timing.samples(0)[0])
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
        samples, self._latency_ms = self._timing.until_steady(request.window_ms / 1e3, request.max_s, request.period_s)
        found = state.state()
        waiting.until_idle()
        return protocol.Warmed(tuple(samples), self._latency_ms, found)

    def block(self, request: protocol.Block) -> protocol.Timed:
        """Timed inferences and their energy, and the canary before them.

        Untimed inferences come first, unless an inference is so long that cold caches don't matter. With a period, one
        inference starts every `period_s` seconds. The answer comes when no thread spins any more, so that the next
        turn, which is another process's, isn't disturbed.
        """
        seconds, period_s = request.seconds, request.period_s
        self._watch.look()
        meter = energy.meter()
        canary_ms = state.canary_ms()
        if 2 * self._latency_ms < seconds * 1e3:
            self._timing.samples(_COLD * seconds, period_s)
        before = waiting.waited_ns()
        if meter:
            meter.start()
        begun, samples = time.monotonic(), self._timing.samples(seconds, period_s)
        if meter and period_s:  # what the device takes until the next inference is due belongs to the last one
            time.sleep(max(0.0, begun + len(samples) * period_s - time.monotonic()))
        energy_mj = meter.stop_mj() if meter else None
        waited_ms = waiting.longest_ms(before, waiting.waited_ns())
        waiting.until_idle()
        return protocol.Timed(tuple(samples), energy_mj, canary_ms, self._timing.on_accelerator_ms(), waited_ms)

    def finish(self, _: protocol.Finish) -> protocol.Finished:
        """The peak memory of loading and running, and the device's final state, with what slowed it down meanwhile."""
        peak, end = system.peak_bytes(self._mark), state.state()
        slowed = tuple(dict.fromkeys((*end.throttled_by, *sorted(self._watch.causes))))
        return protocol.Finished(peak, dataclasses.replace(end, throttled_by=slowed))

    def trace(self, request: protocol.Trace) -> protocol.Traced:
        """The time of each node."""
        wanted = request.opening
        if wanted.affinity is not None:
            opening.pin(wanted.affinity)
        with host.temporary_folder() as folder:
            session = self._runtime.open(wanted.path, trace_in=folder, **wanted.options)
            values, count, end = opening.feeds_of(session.inputs(), wanted.feeds), 0, time.monotonic() + request.seconds
            while count < _COLD_INFERENCES + 1 or time.monotonic() < end:
                session.run(values)
                count += 1
            nodes, sha256 = session.nodes(_COLD_INFERENCES), [*hashes.of(request.files)]
            facts = {"inferences": count - _COLD_INFERENCES, "nodes": nodes, "sha256": sha256}
            return protocol.read(protocol.Traced, facts)

    def evaluate(self, request: protocol.Evaluate, frame: bytes) -> tuple[protocol.Evaluated, memoryview]:
        """The outputs of an artifact for the inputs in the frame."""
        wanted = (request.path, request.options, hashes.of(request.files))
        if self._evaluation is None or self._evaluation.opened != wanted:
            if self._evaluation is not None:
                self._evaluation.close()
            self._evaluation = None  # frees the memory before the next one is opened
            self._evaluation = evaluation.Evaluation(self._runtime, *wanted)
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


def _answer(agent: Agent, line: str, frame: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    """The answer to a request, and its frame."""
    message = {}
    try:
        message = json.loads(line)
        request = protocol.read_request(message)
        if isinstance(request, protocol.Evaluate):
            evaluated, outputs = agent.evaluate(request, frame)
            return protocol.answer_document(evaluated, message), outputs
        answer = getattr(agent, protocol.name_of(request))(request)
        return protocol.answer_document(answer, message), b""
    except Exception as e:  # every failure is reported to the host
        text = str(e).strip()[:_LONGEST_ERROR]
        error = text if isinstance(e, (ValueError, ImportError)) and text else f"{type(e).__name__}: {text}"
        nonce = message.get("nonce") if isinstance(message, dict) else None
        more = {name: str(getattr(e, name, "")) for name in ("hint", "fault")}
        return {"nonce": nonce, "error": error, **more}, b""


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
