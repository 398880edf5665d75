"""Raw samples of an artifact on a device, with all they depend on."""

from typing import Annotated, Literal, Self

from pydantic import FailFast, Field, model_validator

from edgekd.values.deployment import Artifact, Setting
from edgekd.values.value import Milliseconds, Name, NonNegative, NonNegativeInt, Positive, PositiveInt, Value

# only the first wrong sample is reported: a damaged file with millions would fill the memory
_Samples = Annotated[tuple[Milliseconds, ...], FailFast()]


class MeasuringProtocol(Value):
    """How latency is measured, for every runtime; every measurement states it."""

    loop: Literal["closed", "paced"] = "closed"
    """Closed: an inference starts when the previous one has ended. Paced: inferences start at `cadence_hz`."""
    cadence_hz: Positive | None = None
    """Inferences a second of a paced loop."""
    batch: PositiveInt = 1
    """Images in an inference."""
    inputs: str = "random"
    """Source of the inputs' values: "random", or "sha256:…" of their file."""
    shapes: dict[str, tuple[PositiveInt, ...]] = {}
    """Shapes of inputs with dynamic axes."""
    affinity: tuple[NonNegativeInt, ...] | None = None
    """The CPUs that it may use; None: all, or those of the fastest kind if an Arm processor has several kinds."""
    same_cpus: bool = True
    """Alternating artifacts run on the same CPUs, and on others in each launch: a shared machine's CPUs are slowed by
    different neighbours. Only without a given affinity, and if the kinds of the CPUs are known."""
    transfers: Literal["included", "excluded"] = "included"
    """Whether copying inputs from the host's memory to an accelerator, and outputs back, counts. If excluded, inputs
    are already there; this requires a runtime whose accelerator has memory of its own."""
    launches: PositiveInt = 5
    """Fresh processes to measure in."""
    seconds: Positive = 2.0
    """Timed seconds per launch."""
    block_seconds: Positive = 0.1
    """Artifacts measured together alternate in blocks of this length."""
    warmup_seconds: Positive = 3.0
    """Warm-up ends when two windows' medians differ by less than 2 %, or after this long."""

    @model_validator(mode="after")
    def _paced_or_closed(self) -> Self:
        if (self.loop == "paced") != (self.cadence_hz is not None):
            raise ValueError("a paced loop has a cadence_hz, a closed one has none")
        return self


class Accuracy(Value):
    """Top-1 accuracy of an artifact, run by its runtime over one split of a data set."""

    correct: NonNegativeInt
    images: PositiveInt
    dataset: str
    split: str

    @model_validator(mode="after")
    def _at_most_all(self) -> Self:
        if self.correct > self.images:
            raise ValueError(f"{self.correct} of {self.images} images can't be correct")
        return self

    @property
    def top1(self) -> float:
        """The fraction of the images that were classified correctly."""
        return self.correct / self.images


class Host(Value):
    """The machine that ran an artifact."""

    machine: str
    """A hash of what this one device has and no other."""
    arch: str
    os: str
    os_version: str = ""
    cpu: str
    cpu_features: tuple[str, ...] = ()
    """Those of its instructions that decide how fast integers are multiplied, such as "avx512_vnni"."""
    cores: NonNegativeInt
    memory_bytes: NonNegativeInt | None = None
    governor: str | None = None
    python: str
    emulated: bool = False
    """Whether another machine's processor pretends to be this one, as qemu-user does: no time counts."""
    board: str | None = None
    """The board's name; of an Android device maker and model. Like what follows, None where it isn't reported."""
    power_mode: str | None = None
    """By its name, such as "MAXN_SUPER": its number differs between boards."""
    clocks_locked: bool | None = None
    """Whether CPUs and GPU are fixed at the highest clock of the power mode, as `jetson_clocks` does."""


class RuntimeInfo(Value):
    """The runtime that ran an artifact."""

    name: str
    version: str
    provider: str
    """What of the runtime ran it, such as "CPUExecutionProvider"."""
    settings: dict[str, Setting | None] = {}
    """All of its settings, those that were left at their defaults included."""
    origin: str = ""
    """Which build of it that was, if it was not the device's own but edgekd's bundle's, such as "Linux/arm64 build"."""

    @property
    def title(self) -> str:
        """Name, version and, if it was not the device's own, which build."""
        return f"{self.name} {self.version}{self.origin and f' ({self.origin})'}"


class State(Value):
    """What a device reports of itself at one moment: None or nothing where it reports nothing."""

    clocks_mhz: tuple[NonNegative, ...] = ()
    clock_limit_mhz: NonNegative | None = None
    """The highest clock that the system allows: it falls with heat, or by a power mode."""
    governor: str | None = None
    temperatures_c: dict[str, float] = {}
    throttle_count: int | None = None
    """How often it has throttled since it started."""
    throttled_by: tuple[str, ...] = ()
    """What slows it down at this moment, such as "under-voltage"; after a launch also alarms that were on within it."""
    gpu_clock_mhz: NonNegative | None = None
    gpu_clock_limit_mhz: NonNegative | None = None
    over_current: dict[str, int] = {}
    """How often each over-current alarm has throttled it since it started, such as {"oc3": 4}."""
    rails_w: dict[str, float] = {}
    """The power of each supply rail that the board measures."""
    charging: bool | None = None
    """Whether an Android device is supplied from outside."""
    throttled_since_boot: tuple[str, ...] | None = None
    """What has slowed it down since it started, of a device that remembers this, and not how often (Raspberry Pi)."""
    power_mode: str | None = None
    clocks_locked: bool | None = None
    """Like `power_mode` as in `Host`: what it was at this moment."""


class Launch(Value):
    """One fresh process: load, first inference, warm-up, then blocks of timed inferences in the order they ran."""

    group: NonNegativeInt = 0
    """Which artifacts took turns: those whose launches have the same group. The reference has a launch in each."""
    load_ms: Milliseconds
    first_ms: Milliseconds
    warmup_ms: _Samples = ()
    blocks_ms: Annotated[tuple[Annotated[_Samples, Field(min_length=1)], ...], FailFast()]
    peak_bytes: NonNegativeInt | None = None
    energy_mj: NonNegative | None = None
    """An inference's, on average over the blocks, with what the device takes while idle."""
    accelerator_ms: tuple[Milliseconds, ...] = ()
    """Of each block, the median time for which an accelerator computed for an inference, by its own clock and without
    copies. Information only: limits are judged by the host's clock. Empty where a runtime has none."""
    canary_ms: tuple[Milliseconds, ...] = ()
    """Before each block, the least time of a small piece of work that is always the same: it follows the clock."""
    waited_ms: tuple[Milliseconds, ...] = ()
    """Of each block, how long a thread of the process waited for a CPU that other work had, while inferences ran: of
    the thread that waited longest. Empty where the device doesn't report it."""
    cpus: tuple[NonNegativeInt, ...] = ()
    """The CPUs that it ran on; empty: all."""
    before: State | None = None
    after: State | None = None


class Node(Value):
    """An operator of the graph as the runtime runs it, after its optimisations."""

    name: Name
    op: Name
    provider: Name
    ms: Milliseconds
    """An inference's, on average."""
    kind: Literal["product", "conversion", "layout"] | None = None
    """A convolution or matrix product, a conversion between types, or a change of layout. None: by `op`, see
    `measuring.nodes`."""
    precision: str | None = None
    """What it computes in, such as "bf16"; None where its `op` says it, as ONNX's do."""
    kernel: Name | None = None
    """What of the runtime computes it, where the runtime reports it."""


class Trace(Value):
    """Which nodes ran where, and for how long; from a process of its own, since tracing takes time."""

    inferences: PositiveInt
    nodes: tuple[Node, ...]


class Control(Value):
    """The second set of processes of a verdict's baseline, see `gate.control`: a measurement of the same session."""

    launches: Annotated[tuple[Launch, ...], FailFast()]
    invalid: tuple[str, ...] = ()
    """As in `Measurement`."""


class Measurement(Value):
    """Raw samples of one artifact on one device. Those with the same `session` were interleaved block by block."""

    schema_version: Literal["edgekd.measurement/2"] = "edgekd.measurement/2"
    session: str
    artifact: Artifact
    device: str
    target: str
    on_target: bool
    """Whether the device is one of the target's kind; a latency of another machine isn't the target's."""
    protocol: MeasuringProtocol
    host: Host
    runtime: RuntimeInfo
    invalid: tuple[str, ...] = ()
    """Reasons why the samples say nothing: throttling, a changed clock …"""
    retried: tuple[str, ...] = ()
    """Why launches were discarded and repeated."""
    launches: Annotated[tuple[Launch, ...], FailFast()]
    trace: Trace | None = None
    engine_bytes: NonNegativeInt | None = None
    """Of what the device built from the file, where it builds something."""
    build_seconds: NonNegative | None = None
    """What building it took, in this measurement or earlier."""
    build_how: str | None = None
    """How it was built, in the runtime's words: the builder's settings, or the command."""
    accuracy: Accuracy | None = None
    looks: PositiveInt | None = None
    """How often a verdict was looked for in the samples while they grew; None where they were measured for none."""
    control: Control | None = None
    """Of a verdict's baseline; None where there was no control."""
    when: str | None = None
    """The time (UTC) at which it ended, such as 2026-11-29T12:55:00Z; None where an earlier version measured."""


class Measurements(Value):
    """What `edgekd profile --json` prints of several artifacts: those of one session."""

    schema_version: Literal["edgekd.measurements/2"] = "edgekd.measurements/2"
    measurements: tuple[Measurement, ...]
