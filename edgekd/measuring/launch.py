"""One launch of one artifact: a new agent process, from loading to the last block."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from edgekd.devices._base import Engine
from edgekd.devices.agent.protocol import Described, Feeds, Loaded, Opening, UsableCpus
from edgekd.devices.client import PATIENCE_S, Agent
from edgekd.devices.failing import reported
from edgekd.errors import ConnectionLostError, EdgekdError, MeasurementError, UnsupportedModelError
from edgekd.values import Artifact, Host, Launch, MeasuringProtocol, Node, RuntimeInfo, State, Trace, Variant
from edgekd.variants import complete
from edgekd.worker import WorkerError

_WARMUP_WINDOW_MS = 100.0
_WARMUP_PERIODS = 4  # inferences per warm-up window of a paced loop
_TRACE_S = 0.5


@dataclass(frozen=True)
class Setup:
    """The protocol, the optional input file on the device, and the settings of a launch."""

    protocol: MeasuringProtocol
    inputs: str | None = None
    inputs_sha256: str = ""
    patience_s: float = PATIENCE_S
    cpus: tuple[int, ...] = ()
    """The CPUs chosen for this launch; empty if none were chosen."""

    @property
    def period_s(self) -> float | None:
        """Seconds between the starts of two inferences; None for a closed loop."""
        return 1 / self.protocol.cadence_hz if self.protocol.cadence_hz else None

    def files(self, engine: Engine) -> dict[str, str]:
        """What the agent reads: the SHA-256 by path."""
        return {**engine.files, **({self.inputs: self.inputs_sha256} if self.inputs else {})}

    def opening(self, variant: Variant, path: str) -> Opening:
        """The agent's parameters for opening an artifact."""
        p = self.protocol
        feeds = Feeds(batch=p.batch, shapes=p.shapes, file=self.inputs)
        transfers = p.transfers == "included"
        return Opening(path, complete(variant), feeds, affinity=self.cpus or p.affinity, transfers=transfers)


@dataclass(frozen=True)
class Opened:
    """An artifact that is loaded and warmed up in its own process."""

    agent: Agent
    artifact: Artifact
    host: Host
    runtime: RuntimeInfo
    loaded: Loaded
    first_ms: float
    warmup_ms: Sequence[float]
    latency_ms: float
    before: State
    """The device's state after the warm-up."""
    cpus: tuple[int, ...] = ()
    """The CPUs that it runs on; empty: all."""


@dataclass(frozen=True)
class Block:
    """One turn: the latency of each inference, and their total energy if the device reports it."""

    samples_ms: tuple[float, ...]
    energy_mj: float | None
    canary_ms: float
    accelerator_ms: float | None = None
    waited_ms: float | None = None


def host_of(described: Described) -> Host:
    """The host that the agent describes."""
    return Host(**asdict(described.host))


def threads_of(variant: Variant) -> int:
    """The number of CPU threads of a variant; 1 if its runtime has no such setting."""
    threads = complete(variant).get("threads")
    return threads if isinstance(threads, int) else 1


def cpus_of_launch(agent: Agent, artifacts: Sequence[Artifact], number: int, *, same: bool) -> tuple[int, ...]:
    """The CPUs on which all artifacts of a launch run; empty: the system decides.

    Where CPUs are of several kinds, they are of the fastest kind, or of as many kinds as all threads need: a thread
    that is moved to a slower one would decide the latency.

    Args:
        agent: knows the CPUs.
        artifacts: all that are measured.
        number: of the launch: each has other CPUs, if there are more than are needed.
        same: whether there are as many CPUs as the artifact with the most threads needs, so that all artifacts share
            the same disturbances; those with fewer threads leave some CPUs idle.

    Raises:
        MeasurementError: the agent does not answer.
    """
    with _of(artifacts[0], "cpus"):
        known = agent.cpus()
    threads = max(threads_of(artifact.variant) for artifact in artifacts)
    chosen = _fastest(known, threads) if known.clusters else known.cpus if known.alike and same else ()
    if len(chosen) < threads:
        return ()
    if not same:
        return chosen
    first = number * threads
    return tuple(sorted(chosen[(first + i) % len(chosen)] for i in range(threads)))


def _fastest(known: UsableCpus, threads: int) -> tuple[int, ...]:
    """All CPUs of the fastest kinds that have at least so many CPUs together."""
    chosen: tuple[int, ...] = ()
    for cluster in known.clusters:
        if len(chosen) < threads:
            chosen += cluster.cpus
    return tuple(sorted(chosen))


def open_artifact(agent: Agent, artifact: Artifact, engine: Engine, setup: Setup) -> Opened:
    """Load the artifact, which is `engine` on the device, run its first inference and warm it up.

    Raises:
        EdgekdError: there are more threads than the device has CPUs.
        UnsupportedModelError: the runtime can't load or run it.
        MeasurementError: the runtime crashed or hung.
    """
    with _of(artifact, "describe"):
        described = agent.describe()
    host, threads = host_of(described), threads_of(artifact.variant)
    pinned = setup.protocol.affinity
    cpus = len(set(pinned)) if pinned else host.cores
    if threads > cpus:
        # spinning threads on too few CPUs slow inference down from milliseconds to minutes
        has = f"--affinity has {cpus} CPUs" if pinned else f"the device has {cpus} CPUs"
        hint = f"Give --threads {cpus} or fewer{', or --affinity more CPUs' if pinned else ''}."
        raise EdgekdError(f"{artifact.file}: {threads} threads were requested, but {has}", hint)
    with _of(artifact, "load"):
        opening = setup.opening(artifact.variant, engine.path)
        loaded = agent.load(opening, setup.files(engine), setup.patience_s)
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
            origin=described.runtime.origin,
            provider=loaded.provider,
            settings=complete(artifact.variant),
        ),
        loaded,
        first_ms=first_ms,
        warmup_ms=warm.samples_ms,
        latency_ms=warm.latency_ms,
        before=State(**asdict(warm.state)),
        cpus=setup.cpus or setup.protocol.affinity or (),
    )


def batch_of(opened: Opened) -> int | None:
    """The batch size of an inference: the first axis of an image input (N, C, H, W), else the one that all inputs of
    several axes have; None if there is none.
    """
    shapes = opened.loaded.inputs.values()
    if images := [shape[0] for shape in shapes if len(shape) == 4]:
        return max(images)
    first = {shape[0] for shape in shapes if len(shape) > 1}
    return first.pop() if len(first) == 1 else None


def run_block(opened: Opened, seconds: float, period_s: float | None = None) -> Block:
    """One turn of `seconds`. Raises MeasurementError."""
    with _of(opened.artifact, "block"):
        timed = opened.agent.block(seconds, period_s, opened.latency_ms)
    return Block(timed.samples_ms, timed.energy_mj, timed.canary_ms, timed.accelerator_ms, timed.waited_ms)


def finish(opened: Opened, blocks: Sequence[Block]) -> Launch:
    """End the launch and return its results. Raises MeasurementError."""
    with _of(opened.artifact, "finish"):
        end = opened.agent.finish()
    return Launch(
        load_ms=opened.loaded.load_ms,
        first_ms=opened.first_ms,
        warmup_ms=tuple(opened.warmup_ms),
        blocks_ms=tuple(block.samples_ms for block in blocks),
        peak_bytes=end.peak_bytes,
        energy_mj=_energy_of_one(blocks),
        accelerator_ms=tuple(block.accelerator_ms for block in blocks if block.accelerator_ms is not None),
        canary_ms=tuple(block.canary_ms for block in blocks),
        waited_ms=tuple(block.waited_ms for block in blocks if block.waited_ms is not None),
        cpus=opened.cpus,
        before=opened.before,
        after=State(**asdict(end.state)),
    )


def trace(agent: Agent, artifact: Artifact, engine: Engine, setup: Setup) -> Trace:
    """The provider and time of each node, measured in a new process. Raises like `open_artifact`."""
    with _of(artifact, "trace"):
        opening = setup.opening(artifact.variant, engine.path)
        traced = agent.trace(opening, _TRACE_S, setup.files(engine), setup.patience_s)
        return Trace(inferences=traced.inferences, nodes=tuple(Node(**asdict(node)) for node in traced.nodes))


def _energy_of_one(blocks: Sequence[Block]) -> float | None:
    """Energy per inference; in a paced loop it includes the idle time in between."""
    known = [block.energy_mj for block in blocks if block.energy_mj is not None]
    return sum(known) / sum(len(block.samples_ms) for block in blocks) if known and len(known) == len(blocks) else None


@contextmanager
def _of(artifact: Artifact, request: str) -> Iterator[None]:
    """Adds the artifact and the request to the error if the agent reports a failure, crashes or hangs."""
    try:
        yield
    except WorkerError as e:
        runtime = artifact.runtime
        if e.kind == "lost":
            raise ConnectionLostError(f"{artifact.file}: not measured: {e}", e.hint) from e
        if e.kind == "error" and request in ("load", "first", "trace"):
            fails = f"{runtime} can't {'run' if request == 'first' else request} it: "
            hint = f"Export it with operators that {runtime} supports; check that the file is complete."
            if provider := artifact.variant.settings.get("provider"):
                others = "Give another --provider, or leave it out."
                hint = others if str(provider) in str(e) else f"{others} {hint}"
            # inputs are validated before the runtime receives them
            by_runtime = request == "first" or not e.hint
            raise UnsupportedModelError(
                f"{artifact.file}: {fails if by_runtime else ''}{reported(e)}", e.hint or hint
            ) from e
        hint = "Check the device's memory and temperature, then measure again."
        raise MeasurementError(f"{artifact.file}: {runtime} failed in {request!r}: {reported(e)}", hint) from e
