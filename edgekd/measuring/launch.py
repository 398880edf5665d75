"""One launch of one artifact: a fresh agent process, from loading to the last block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from edgekd.devices.agent.protocol import Described, Feeds, Loaded, Opening
from edgekd.devices.client import PATIENCE_S, Agent
from edgekd.errors import EdgekdError, MeasurementError, UnsupportedModelError
from edgekd.values import Artifact, Host, Launch, MeasuringProtocol, RuntimeInfo, State, Trace, Variant
from edgekd.variants import complete
from edgekd.worker import WorkerError

_WARMUP_WINDOW_MS = 100.0
_WARMUP_PERIODS = 4  # inferences in a window of a paced loop
_TRACE_S = 0.5


@dataclass(frozen=True)
class Setup:
    """The protocol, the file on the device that feeds the artifacts, if one does, and what a launch adds."""

    protocol: MeasuringProtocol
    inputs: str | None = None
    patience_s: float = PATIENCE_S
    cpus: tuple[int, ...] = ()
    """Those of this launch, if they were chosen for it."""

    @property
    def period_s(self) -> float | None:
        """Seconds between the starts of two inferences; None in a closed loop."""
        return 1 / self.protocol.cadence_hz if self.protocol.cadence_hz else None

    def opening(self, variant: Variant, path: str) -> Opening:
        """What the agent must know to open an artifact and to feed it."""
        p = self.protocol
        feeds = Feeds(batch=p.batch, shapes=p.shapes, file=self.inputs)
        return Opening(path, complete(variant), feeds, affinity=self.cpus or p.affinity)


@dataclass(frozen=True)
class Opened:
    """An artifact that is loaded and warm in its own process."""

    agent: Agent
    artifact: Artifact
    host: Host
    runtime: RuntimeInfo
    loaded: Loaded
    first_ms: float
    warmup_ms: Sequence[float]
    latency_ms: float
    before: State
    """The device's, when it was warm."""


@dataclass(frozen=True)
class Block:
    """One turn: milliseconds of each inference, and what all of them took if the device reports it."""

    samples_ms: tuple[float, ...]
    energy_mj: float | None
    canary_ms: float


def host_of(described: Described) -> Host:
    """The device."""
    return Host(**asdict(described.host))


def threads_of(variant: Variant) -> int:
    """How many CPU threads a variant keeps busy; 1 where its runtime has no such setting."""
    threads = complete(variant).get("threads")
    return threads if isinstance(threads, int) else 1


def cpus_of_launch(agent: Agent, artifacts: Sequence[Artifact], number: int) -> tuple[int, ...]:
    """The CPUs on which all artifacts of a launch run; none to leave it to the system.

    They are as many as the most threads that one of the artifacts has: all of them share the same CPUs, and what they
    are slowed down by, and one with fewer threads leaves some of them idle.

    Raises:
        MeasurementError: the agent does not answer.
    """
    with _of(artifacts[0], "cpus"):
        known = agent.cpus()
    usable, threads = known.cpus, max(threads_of(artifact.variant) for artifact in artifacts)
    if not known.alike or len(usable) < threads:
        return ()
    first = number * threads
    return tuple(sorted(usable[(first + i) % len(usable)] for i in range(threads)))


def open_artifact(agent: Agent, artifact: Artifact, path: str, setup: Setup) -> Opened:
    """Load the artifact at `path` on the device, run it for the first time and warm it up.

    Raises:
        EdgekdError: more threads are asked for than the device has CPUs.
        UnsupportedModelError: the runtime can't load or run it.
        MeasurementError: the runtime crashed or hung.
    """
    with _of(artifact, "describe"):
        described = agent.describe()
    host, threads = host_of(described), threads_of(artifact.variant)
    if threads > host.cores:
        # threads that wait awake for each other on too few CPUs take minutes for what takes milliseconds
        asked = f"{threads} threads are asked for, and the device has {host.cores} CPUs"
        raise EdgekdError(f"{artifact.file}: {asked}", f"Give --threads {host.cores} or fewer.")
    with _of(artifact, "load"):
        loaded = agent.load(setup.opening(artifact.variant, path), setup.patience_s)
    with _of(artifact, "first"):
        first_ms = agent.first(setup.patience_s).first_ms
    period_s, longest_s = setup.period_s, setup.protocol.warmup_seconds
    window_ms = max(_WARMUP_WINDOW_MS, _WARMUP_PERIODS * 1e3 * (period_s or 0))
    with _of(artifact, "warmup"):
        warm = agent.warmup(window_ms, longest_s, period_s, first_ms)
    return Opened(
        agent,
        artifact,
        host,
        RuntimeInfo(
            name=artifact.variant.runtime,
            version=described.runtime.version,
            provider=loaded.provider,
            settings=complete(artifact.variant),
        ),
        loaded,
        first_ms=first_ms,
        warmup_ms=warm.samples_ms,
        latency_ms=warm.latency_ms,
        before=State(**asdict(warm.state)),
    )


def batch_of(opened: Opened) -> int | None:
    """How many images an inference takes: the first axis of an image input (N, C, H, W), None without one."""
    batches = [shape[0] for shape in opened.loaded.inputs.values() if len(shape) == 4]
    return max(batches, default=None)


def run_block(opened: Opened, seconds: float, period_s: float | None = None) -> Block:
    """One turn of so many seconds. Raises MeasurementError."""
    with _of(opened.artifact, "block"):
        timed = opened.agent.block(seconds, period_s, opened.latency_ms)
    return Block(timed.samples_ms, timed.energy_mj, timed.canary_ms)


def finish(opened: Opened, blocks: Sequence[Block]) -> Launch:
    """The launch. Raises MeasurementError."""
    with _of(opened.artifact, "finish"):
        end = opened.agent.finish()
    return Launch(
        load_ms=opened.loaded.load_ms,
        first_ms=opened.first_ms,
        warmup_ms=tuple(opened.warmup_ms),
        blocks_ms=tuple(block.samples_ms for block in blocks),
        peak_bytes=end.peak_bytes,
        energy_mj=_energy_of_one(blocks),
        canary_ms=tuple(block.canary_ms for block in blocks),
        before=opened.before,
        after=State(**asdict(end.state)),
    )


def trace(agent: Agent, artifact: Artifact, path: str, setup: Setup) -> Trace:
    """Where its nodes run, and for how long, in a fresh process. Raises as `open_artifact`."""
    with _of(artifact, "trace"):
        opening = setup.opening(artifact.variant, path)
        return Trace(**asdict(agent.trace(opening, _TRACE_S, setup.patience_s)))


def _energy_of_one(blocks: Sequence[Block]) -> float | None:
    """Of an inference; what stands between them in a paced loop is part of it."""
    known = [block.energy_mj for block in blocks if block.energy_mj is not None]
    return sum(known) / sum(len(block.samples_ms) for block in blocks) if known and len(known) == len(blocks) else None


@contextmanager
def _of(artifact: Artifact, request: str) -> Iterator[None]:
    """Names the artifact and what failed where the agent reports a failure, crashes or hangs."""
    try:
        yield
    except WorkerError as e:
        runtime = artifact.runtime
        if e.kind == "error" and request in ("load", "first", "trace"):
            fails = f"{runtime} can't {'run' if request == 'first' else request} it: "
            hint = f"Export it with operators that {runtime} supports; check that the file is complete."
            # what it is fed is checked before the runtime sees it
            by_runtime = request == "first" or not e.hint
            raise UnsupportedModelError(f"{artifact.file}: {fails if by_runtime else ''}{e}", e.hint or hint) from e
        hint = "Check the device's memory and temperature, then measure again."
        raise MeasurementError(f"{artifact.file}: {runtime} failed in {request!r}: {e}", hint) from e
