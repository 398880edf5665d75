"""The values that flow through edgekd. All are frozen; units stand in the field's name.

Percentiles, ratios and other statistics are computed on reading (`profiling.statistics`), never stored.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

# strict: a number in quotes, or true, is a mistake in a TOML file, not a number
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
PositiveInt = Annotated[int, Field(gt=0, strict=True)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]
Milliseconds = NonNegative
Fraction = Annotated[float, Field(ge=0, le=1, strict=True)]
Status = Literal["pass", "fail", "inconclusive", "invalid", "not measured"]


class Value(BaseModel):
    """A frozen value; an unknown field is an error."""

    # validators are built when first used: most commands need few of them
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# --- what the user states ---------------------------------------------------------------------------------------


class Reference(Value):
    """A published figure for a device: context for the reader, never a limit."""

    what: str
    value: str
    source: str
    conditions: str = ""


class Target(Value):
    """A kind of device: one TOML file in targets/."""

    name: str
    title: str
    family: str | None = None
    family_default: bool = False
    arch: str
    os: str = "linux"
    marker: str | None = None
    """A path that exists on such devices only; a machine without it isn't one."""
    runtimes: tuple[str, ...]
    precisions: tuple[str, ...]
    channel_block: PositiveInt = 8
    """Channels that the runtime's kernels process together; pruned widths are multiples of it."""
    threads: PositiveInt = 1
    compute_capability: str | None = None
    max_opset: dict[str, int] = {}
    dla: int = 0
    default_budget: str = "half-latency"
    references: tuple[Reference, ...] = ()


class LatencyLimit(Value):
    """Latency at a percentile, absolute or relative to a baseline measured in the same session."""

    percentile: Annotated[float, Field(gt=0, lt=100, strict=True)] = 50
    limit_ms: Positive | None = None
    max_ratio: Positive | None = None

    @model_validator(mode="after")
    def _states_a_limit(self) -> Self:
        if self.limit_ms is None and self.max_ratio is None:
            raise ValueError("needs limit_ms or max_ratio")
        if self.max_ratio is not None and self.percentile != 50:
            raise ValueError("max_ratio is judged at percentile 50 only: tails on a shared machine don't compare")
        return self


class TimeLimit(Value):
    """A one-off time: loading the model, or its first inference."""

    limit_ms: Positive


class SizeLimit(Value):
    """Bytes of the file as stored and as transferred (gzip)."""

    disk_bytes: PositiveInt | None = None
    transfer_bytes: PositiveInt | None = None


class MemoryLimit(Value):
    """Peak memory that loading and running the model adds to the process."""

    peak_bytes: PositiveInt


class AccuracyLimit(Value):
    """Top-1 accuracy on the test set: a floor, or the most that may be lost against the baseline."""

    min_top1: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    max_drop_pp: Annotated[float, Field(ge=0, le=100, strict=True)] | None = None


class Budget(Value):
    """What a model must meet on a target: one TOML file in profiles/. What is absent isn't judged."""

    name: str
    title: str = ""
    latency: LatencyLimit | None = None
    load: TimeLimit | None = None
    first_inference: TimeLimit | None = None
    size: SizeLimit | None = None
    memory: MemoryLimit | None = None
    accuracy: AccuracyLimit | None = None


class Training(Value):
    """How long and how fast a network learns; `None` means chosen from the data (see `recipe.default_epochs`)."""

    epochs: PositiveInt | None = None
    batch_size: PositiveInt = 128
    learning_rate: Positive = 0.1
    momentum: Fraction = 0.9
    weight_decay: NonNegative = 5e-4
    warmup: Fraction = 0.15
    """Fraction of the steps in which the learning rate rises, before it falls as a cosine."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    threads: PositiveInt | None = None
    """Of the CPU; None means as many as are fastest."""


class Recovery(Training):
    """Distillation of the student: `ce_weight` x CE + `kd_weight` x T^2 x KL, on inherited weights."""

    learning_rate: Positive = 0.05
    teacher_precision: Literal["auto", "fp32", "bf16"] = "auto"
    loss: str = "kd"
    temperature: Positive = 4.0
    ce_weight: NonNegative = 0.1
    kd_weight: NonNegative = 0.9


class Pruning(Value):
    """Structured pruning; a `ratio` of None is planned by measuring on the device."""

    method: str = "filters"
    ratio: Annotated[float, Field(ge=0, lt=1, strict=True)] | None = None
    margin: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.06
    """The plan aims this fraction below the latency limit, for what the trained weights may change."""
    timeout_s: Positive = 120
    memory_bytes: PositiveInt = 4_000_000_000


class Quantisation(Value):
    """Static INT8, calibrated on training images."""

    images: PositiveInt = 512


class Measuring(Value):
    """How latency is measured; every measurement declares it."""

    loop: Literal["closed"] = "closed"
    batch: PositiveInt = 1
    inputs: str = "random"
    threads: PositiveInt = 1
    spinning: bool = True
    launches: PositiveInt = 5
    seconds: Positive = 2.0
    """Timed seconds a launch."""
    block_seconds: Positive = 0.1
    """Artifacts measured together take turns of this length."""
    warmup_seconds: Positive = 3.0
    """Warm-up ends when two windows' medians differ by less than 2 %, or after this long."""


class Recipe(Value):
    """Everything that decides what `compress` does; the run writes the one that reproduces it."""

    model: str
    data: str
    target: str
    budget: str
    weights: str | None = None
    seed: Annotated[int, Field(ge=0, strict=True)] = 0
    teacher: Training = Training()
    prune: Pruning = Pruning()
    recover: Recovery = Recovery()
    quantize: Quantisation = Quantisation()
    measure: Measuring = Measuring()


# --- what edgekd makes and sees ------------------------------------------------------------------------------------


class Artifact(Value):
    """A deployable file."""

    name: str
    file: str
    format: str = "onnx"
    precision: str
    runtime: str
    sha256: str
    disk_bytes: int
    transfer_bytes: int
    lineage: dict[str, str] = {}


class Accuracy(Value):
    """Top-1 accuracy of an artifact, run by its runtime over one split of a data set."""

    correct: int
    images: PositiveInt
    dataset: str
    split: str

    @property
    def top1(self) -> float:
        """The fraction of the images that were classified correctly."""
        return self.correct / self.images


class Interval(Value):
    """An estimate with the two-sided confidence interval around it."""

    estimate: float
    low: float
    high: float
    confidence: Fraction = 0.95


class Environment(Value):
    """What the samples depend on. Two measurements compare only where these are equal."""

    machine: str
    arch: str
    os: str
    cpu: str
    cores: int
    memory_bytes: int | None = None
    governor: str | None = None
    python: str
    runtime: str
    runtime_version: str
    provider: str


class Launch(Value):
    """One fresh process: load, first inference, warm-up, then blocks of timed inferences in the order they ran."""

    load_ms: Milliseconds
    first_ms: Milliseconds
    warmup_ms: tuple[Milliseconds, ...] = ()
    blocks_ms: tuple[Annotated[tuple[Milliseconds, ...], Field(min_length=1)], ...]
    peak_bytes: int | None = None


class Measurement(Value):
    """Raw samples of one artifact on one device. Those with the same `session` were interleaved block by block."""

    schema_version: Literal["edgekd.measurement/1"] = "edgekd.measurement/1"
    session: str
    artifact: Artifact
    device: str
    target: str
    on_target: bool
    """Whether the device is one of the target's kind; a latency of another machine isn't the target's."""
    protocol: Measuring
    environment: Environment
    invalid: tuple[str, ...] = ()
    """Reasons why the samples say nothing: throttling, a changed clock …"""
    launches: tuple[Launch, ...]
    accuracy: Accuracy | None = None


class LimitVerdict(Value):
    """One limit of a budget, judged; `evidence` is the line that says why."""

    name: str
    status: Status
    limit: float
    observed: float | None
    unit: str
    evidence: str


class Verdict(Value):
    """One budget judged on one measurement."""

    schema_version: Literal["edgekd.verdict/1"] = "edgekd.verdict/1"
    status: Status
    budget: str
    artifact: str
    limits: tuple[LimitVerdict, ...]
    reasons: tuple[str, ...] = ()


class Targets(Value):
    """What `edgekd targets --json` prints."""

    schema_version: Literal["edgekd.targets/1"] = "edgekd.targets/1"
    targets: tuple[Target, ...]


class Budgets(Value):
    """What `edgekd budgets --json` prints."""

    schema_version: Literal["edgekd.budgets/1"] = "edgekd.budgets/1"
    budgets: tuple[Budget, ...]


def document(value: Value) -> dict[str, Any]:
    """The JSON document of a value."""
    return value.model_dump(mode="json")
