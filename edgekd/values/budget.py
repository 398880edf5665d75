"""What a model must meet on a target."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgekd.values.value import Name, NonNegativeInt, Positive, PositiveInt, Reference, Value


class LatencyLimit(Value):
    """Latency at a percentile, absolute or relative to a baseline measured in the same session."""

    percentile: Annotated[float, Field(gt=0, lt=100, strict=True)] = 50
    limit_ms: Positive | None = None
    max_ratio: Positive | None = None
    cadence_hz: Positive | None = None
    """Inferences a second, as a camera asks for them; None: one after the other."""

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
    """Bytes of the file as stored and as transferred (gzip), and of the engine that the device builds from it."""

    disk_bytes: PositiveInt | None = None
    transfer_bytes: PositiveInt | None = None
    engine_bytes: PositiveInt | None = None


class MemoryLimit(Value):
    """Peak memory that loading and running the model adds to the process."""

    peak_bytes: PositiveInt


class FallbackLimit(Value):
    """Nodes that another provider than the first ran, such as the CPU's instead of an accelerator's."""

    max_nodes: NonNegativeInt


class EnergyLimit(Value):
    """Energy that an inference takes, of the whole processor or module."""

    limit_mj: Positive


class AccuracyLimit(Value):
    """Top-1 accuracy on the test set: a floor, or the most that may be lost against the baseline."""

    min_top1: Annotated[float, Field(gt=0, le=1, strict=True)] | None = None
    max_drop_pp: Annotated[float, Field(ge=0, le=100, strict=True)] | None = None


class Conditions(Value):
    """What a budget's limits hold under: a measurement made otherwise is refused. What is absent may be anything."""

    target: str | None = None
    machine: str | None = None
    """One given device, by the hash in a measurement's environment."""
    cpu: str | None = None
    runtime: str | None = None
    runtime_version: str | None = None
    provider: str | None = None
    threads: PositiveInt | None = None
    batch: PositiveInt | None = None
    artifact: str | None = None
    """The artifact's name, which is its file's without the suffix."""


class Budget(Value):
    """What a model must meet on a target: one TOML file in profiles/. What is absent isn't judged."""

    name: Name
    title: str = ""
    conditions: Conditions | None = None
    latency: LatencyLimit | None = None
    load: TimeLimit | None = None
    first_inference: TimeLimit | None = None
    size: SizeLimit | None = None
    memory: MemoryLimit | None = None
    fallback: FallbackLimit | None = None
    energy: EnergyLimit | None = None
    accuracy: AccuracyLimit | None = None
    references: tuple[Reference, ...] = ()


class Budgets(Value):
    """What `edgekd budgets --json` prints."""

    schema_version: Literal["edgekd.budgets/1"] = "edgekd.budgets/1"
    budgets: tuple[Budget, ...]
