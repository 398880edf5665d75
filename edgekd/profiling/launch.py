"""One launch of one artifact: a fresh agent process, from loading to the last block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.errors import MeasurementError, UnsupportedModelError
from edgekd.schema import Artifact, Environment, Launch, Measuring
from edgekd.worker import Worker, WorkerError

PATIENCE_S = 300.0
"""How long the device may take for what has no stated length: loading, the first inference."""

_SLACK_S = 30.0
_TIMES_LONGER = 10  # a shared device may be this much slower for a while without having hung
_WARMUP_WINDOW_MS = 100.0


@dataclass(frozen=True)
class Opened:
    """An artifact that is loaded and warm in its own process."""

    agent: Worker
    artifact: Artifact
    environment: Environment
    loaded: Mapping[str, Any]
    first_ms: float
    warmup_ms: Sequence[float]
    latency_ms: float


def open_artifact(agent: Worker, artifact: Artifact, path: str, settings: Measuring) -> Opened:
    """Load the artifact at `path` on the device, run it for the first time and warm it up.

    Raises:
        UnsupportedModelError: the runtime can't load or run it.
        MeasurementError: the runtime crashed or hung.
    """
    environment = Environment(**_ask(agent, artifact, {"do": "describe"}, _SLACK_S))
    load = {
        "do": "load",
        "path": path,
        "threads": settings.threads,
        "spinning": settings.spinning,
        "batch": settings.batch,
        "seed": 0,
    }
    warmup = {"do": "warmup", "window_ms": _WARMUP_WINDOW_MS, "max_s": settings.warmup_seconds}
    loaded = _ask(agent, artifact, load, PATIENCE_S)
    first_ms = _ask(agent, artifact, {"do": "first"}, PATIENCE_S)["first_ms"]
    patience = _patience(settings.warmup_seconds + first_ms / 1e3)
    warm = _ask(agent, artifact, warmup, patience)
    return Opened(agent, artifact, environment, loaded, first_ms, warm["samples_ms"], warm["latency_ms"])


def batch_of(opened: Opened) -> int | None:
    """How many images an inference takes: the first axis of an image input (N, C, H, W), None without one."""
    batches = [shape[0] for shape in opened.loaded["inputs"].values() if len(shape) == 4]
    return max(batches, default=None)


def run_block(opened: Opened, seconds: float) -> list[float]:
    """Milliseconds of each inference in one turn of so many seconds. Raises MeasurementError."""
    patience = _patience(seconds + 2 * opened.latency_ms / 1e3)
    samples: list[float] = _ask(opened.agent, opened.artifact, {"do": "block", "seconds": seconds}, patience)[
        "samples_ms"
    ]
    return samples


def finish(opened: Opened, blocks: Sequence[Sequence[float]]) -> tuple[Launch, tuple[str, ...]]:
    """The launch, and the reasons why its samples say nothing, if any. Raises MeasurementError."""
    state = _ask(opened.agent, opened.artifact, {"do": "finish"}, _SLACK_S)
    launch = Launch(
        load_ms=opened.loaded["load_ms"],
        first_ms=opened.first_ms,
        warmup_ms=tuple(opened.warmup_ms),
        blocks_ms=tuple(tuple(block) for block in blocks),
        peak_bytes=state["peak_bytes"],
    )
    return launch, _disturbances(opened.loaded, state)


def _disturbances(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    reasons = []
    throttled = (after["throttle_count"] or 0) - (before["throttle_count"] or 0)
    if throttled > 0:
        reasons.append(f"the CPU throttled {throttled} times while it was measured")
    if after["governor"] != before["governor"]:
        reasons.append(f"the clock governor changed from {before['governor']} to {after['governor']}")
    return tuple(reasons)


def _patience(seconds: float) -> float:
    return _SLACK_S + _TIMES_LONGER * seconds


def _ask(agent: Worker, artifact: Artifact, request: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
    try:
        return agent.ask(request, timeout_s)
    except WorkerError as e:
        what, runtime = request["do"], artifact.runtime
        if e.kind == "error" and what in ("load", "first"):
            verb = "load" if what == "load" else "run"
            hint = f"Export it again with fixed shapes and operators that {runtime} has, and copy it whole."
            raise UnsupportedModelError(f"{artifact.file}: {runtime} can't {verb} it: {e}", hint) from e
        hint = "Look for the cause on the device (memory, temperature), then measure again."
        raise MeasurementError(f"{artifact.file}: {runtime} failed in {what!r}: {e}", hint) from e
