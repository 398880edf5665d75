"""Reads version 1 of measurement documents (`edgekd.measurement/1`), in which runtime settings were not yet part of
the artifact.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field

from edgekd.values import (
    Accuracy,
    Artifact,
    File,
    Host,
    Launch,
    Lineage,
    MeasuringProtocol,
    PositiveInt,
    RuntimeInfo,
    Setting,
    Trace,
    Value,
    Variant,
)
from edgekd.values import Measurement as Today
from edgekd.values.lineage import NetworkOrigin
from edgekd.values.value import Name, NonNegativeInt, Positive

NAME = "edgekd.measurement/1"

_DEFAULTS: dict[str, Setting | None] = {"threads": 1, "spinning": True, "provider": None, "provider_options": {}}
"""Defaults of ONNX Runtime's settings; version 1 supported no other runtime."""


class _Protocol(Value):
    loop: Literal["closed", "paced"] = "closed"
    cadence_hz: Positive | None = None
    batch: PositiveInt = 1
    inputs: str = "random"
    shapes: dict[str, tuple[PositiveInt, ...]] = Field(default_factory=dict)
    threads: PositiveInt = 1
    spinning: bool = True
    affinity: tuple[NonNegativeInt, ...] | None = None
    same_cpus: bool = True
    provider: str | None = None
    provider_options: dict[str, str] = Field(default_factory=dict)
    transfers: Literal["included"] = "included"
    launches: PositiveInt = 5
    seconds: Positive = 2.0
    block_seconds: Positive = 0.1
    warmup_seconds: Positive = 3.0

    def settings(self) -> dict[str, Setting | None]:
        """The runtime settings."""
        return {name: getattr(self, name) for name in _DEFAULTS}

    def converted(self) -> MeasuringProtocol:
        """The protocol without runtime settings."""
        return MeasuringProtocol.model_validate(self.model_dump(exclude=set(_DEFAULTS)))


class _Artifact(Value):
    name: Name
    file: Name
    format: str = "onnx"
    precision: str
    runtime: str
    sha256: str
    disk_bytes: NonNegativeInt
    transfer_bytes: NonNegativeInt
    zstd_bytes: NonNegativeInt | None = None
    lineage: dict[str, str] = Field(default_factory=dict)

    def converted(self, settings: dict[str, Setting | None]) -> Artifact:
        """The artifact as a current value. The single hash is that of all files concatenated."""
        differing = {k: v for k, v in settings.items() if v is not None and v != _DEFAULTS[k]}
        return Artifact(
            name=self.name,
            format=self.format,
            variant=Variant(runtime=self.runtime, precision=self.precision, settings=differing),
            files=(File(path=Path(self.file), sha256=self.sha256),),
            disk_bytes=self.disk_bytes,
            transfer_bytes=self.transfer_bytes,
            zstd_bytes=self.zstd_bytes,
            lineage=self._lineage(),
        )

    def _lineage(self) -> Lineage | None:
        """As it is stated today."""
        stated = self.lineage
        if "model" not in stated:
            return None
        return Lineage(network=NetworkOrigin(model=stated["model"], weights=stated.get("weights", "")))


class _Environment(Host):
    runtime: str
    runtime_version: str
    provider: str


class Measurement(Value):
    """A measurement of version 1."""

    schema_version: Literal["edgekd.measurement/1"]
    session: str
    artifact: _Artifact
    device: str
    target: str
    on_target: bool
    protocol: _Protocol
    environment: _Environment
    invalid: tuple[str, ...] = ()
    retaken: tuple[str, ...] = ()
    launches: tuple[Launch, ...]
    trace: Trace | None = None
    engine_bytes: NonNegativeInt | None = None
    accuracy: Accuracy | None = None

    def converted(self) -> Today:
        """The same measurement as a current value."""
        environment, settings = self.environment, self.protocol.settings()
        shared = set(type(self).model_fields) & set(Today.model_fields) - {"schema_version", "artifact", "protocol"}
        return Today(
            **{name: getattr(self, name) for name in shared},
            artifact=self.artifact.converted(settings),
            protocol=self.protocol.converted(),
            host=Host(**{name: getattr(environment, name) for name in Host.model_fields}),
            runtime=RuntimeInfo(
                name=environment.runtime,
                version=environment.runtime_version,
                provider=environment.provider,
                settings=settings if self.launches else {},
            ),
            retried=self.retaken,
        )
