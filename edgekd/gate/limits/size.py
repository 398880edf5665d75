"""Bytes: of the file as stored, of the file after gzip, and of the engine that the device builds from it."""

from collections.abc import Iterator

from edgekd.gate.evidence import Threshold, counted, elsewhere_than, unmeasured
from edgekd.gate.headroom import rounded_up_bytes
from edgekd.gate.limits._base import Given, Needs
from edgekd.values import LimitVerdict, Measurement, Value
from edgekd.values.value import PositiveInt


class Settings(Value):
    """Bytes of the file as stored and as transferred (gzip), and of the engine that the device builds from it."""

    disk_bytes: PositiveInt | None = None
    """The file as stored, with its external data."""
    transfer_bytes: PositiveInt | None = None
    """The file after gzip."""
    engine_bytes: PositiveInt | None = None
    """What the device builds from the file, such as a TensorRT plan; refused where no runtime builds one."""


def needs(settings: Settings) -> Needs:
    """A size of the engine needs a runtime that builds one."""
    return Needs(engine="engine_bytes" if settings.engine_bytes is not None else None)


def judge(settings: Settings, given: Given) -> Iterator[LimitVerdict]:
    """By counting."""
    artifact = given.measurement.artifact
    if settings.disk_bytes is not None:
        yield _file("disk_bytes", "file", artifact.disk_bytes, settings.disk_bytes)
    if settings.transfer_bytes is not None:
        yield _file("transfer_bytes", "gzipped file", artifact.transfer_bytes, settings.transfer_bytes)
    if settings.engine_bytes is not None:
        yield _engine(given.measurement, settings.engine_bytes)


def start(measurement: Measurement, headroom: float) -> Iterator[str]:
    """Above each size."""
    artifact = measurement.artifact
    yield "\n[size] # bytes"
    for key, found, what in (
        ("disk_bytes", artifact.disk_bytes, "of the file"),
        ("transfer_bytes", artifact.transfer_bytes, "of the gzipped file"),
        ("engine_bytes", measurement.engine_bytes, "of what the device built from it"),
    ):
        if found:
            yield f"{key} = {rounded_up_bytes(found * headroom)} # {what}; measured {found:,}"


def _file(key: str, what: str, found: int, limit: int) -> LimitVerdict:
    return counted(Threshold(f"size.{key}", what, limit, "bytes"), found, f"{what} {found:,} bytes")


def _engine(measurement: Measurement, limit: int) -> LimitVerdict:
    threshold = Threshold("size.engine_bytes", "engine", limit, "bytes")
    if elsewhere := elsewhere_than(threshold, measurement):
        return elsewhere
    if measurement.engine_bytes is None:
        return unmeasured(threshold, f"{measurement.runtime.name} builds none: it runs the file")
    return counted(threshold, measurement.engine_bytes, f"engine {measurement.engine_bytes:,} bytes")
