"""Measures artifacts side by side on a device: as many launches as asked, or until a verdict is decided.

Samples are kept raw.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgekd.devices._base import Device
from edgekd.errors import DeviceError, MeasurementError
from edgekd.measuring.launch import Protocol, environment_of, trace
from edgekd.measuring.side_by_side import Record, Session, launch
from edgekd.progress import Progress
from edgekd.values import Artifact, Environment, Measurement, Measuring, Target, Trace
from edgekd.worker import WorkerError

_NOWHERE = Environment(
    machine="", arch="", os="", cpu="", cores=0, python="", runtime="", runtime_version="", provider=""
)

Measurements = tuple[Measurement, ...]


@dataclass(frozen=True)
class Enough:
    """When a session may end that goes on until a verdict is decided."""

    decided: Callable[[Measurements, int], bool]
    """Asked at the first look, the second …: is what has been measured enough?"""
    time_limit_s: float


def environment(device: Device, runtime: str) -> Environment:
    """What measurements with that runtime on the device depend on. Raises DeviceError."""
    with device.start(runtime) as agent:
        try:
            return environment_of(agent.describe(), runtime)
        except WorkerError as e:
            raise DeviceError(f"{device.url}: {e}", "Try again.") from e


def measure(
    artifacts: Sequence[tuple[Artifact, Path]],
    *,
    device: Device,
    target: Target,
    settings: Measuring,
    progress: Progress,
    inputs: Path | None = None,
    traced: bool = False,
    steady: bool = True,
    enough: Enough | None = None,
) -> Measurements:
    """Measure all artifacts in one session; one measurement each, in their order.

    Args:
        artifacts: with the files they are in.
        device: where.
        target: what the device is meant to be.
        settings: how, and in how many launches.
        progress: told about each round.
        inputs: an .npz file that feeds them; random values if None.
        traced: whether the time of every node is measured as well, in further processes.
        steady: whether launches that drifted are made again; ratios don't need it.
        enough: go on with twice as many launches until this says so, or its time is up; None is the launches alone.

    Raises:
        DeviceError: the device can't be reached, or doesn't have a runtime.
        UnsupportedModelError: a runtime can't load or run its artifact.
        MeasurementError: a runtime crashed or hung.
    """
    session = Session(
        name=uuid.uuid4().hex,
        placed=[(artifact, device.put(path)) for artifact, path in artifacts],
        device=device,
        target=target,
        protocol=Protocol(settings, inputs=device.put(inputs) if inputs else None),
        progress=progress,
        steady=steady,
    )
    launches, retaken = _launches(session, enough)
    traces = [_trace(session, artifact, path) if traced else None for artifact, path in session.placed]
    return _measurements(session, launches, retaken, traces)


def _launches(session: Session, enough: Enough | None) -> tuple[list[list[Record]], list[str]]:
    """Launch after launch, each with a record per artifact, and why some were made again.

    A disturbed launch is thrown away and made again, but at most as often as launches are wanted. Whether it was
    disturbed is read off the device's state, never off the samples: that would favour some.
    """
    started = time.monotonic()
    launches: list[list[Record]] = []
    retaken: list[str] = []
    wanted, look = session.protocol.settings.launches, 1
    while True:
        while len(launches) < wanted:
            records = launch(session, len(launches), wanted)
            reasons = _reasons(records, steady=session.steady)
            if reasons and len(retaken) < wanted:
                retaken.append("; ".join(reasons))
                session.progress.note(f"launch {len(launches) + 1} is made again: {retaken[-1]}")
            else:
                launches.append(records)
        if enough is None or enough.decided(_measurements(session, launches, retaken), look):
            return launches, retaken
        left_s = enough.time_limit_s - (time.monotonic() - started)
        more = _affordable(len(launches), len(retaken), left_s=left_s, limit_s=enough.time_limit_s)
        if more < 1:
            return launches, retaken
        session.progress.note(f"not decided after {len(launches)} launches: {more} more")
        wanted, look = wanted + more, look + 1


def _affordable(done: int, retaken: int, *, left_s: float, limit_s: float) -> int:
    """As many launches again as are done, or as many as the time left allows; those made again took time as well."""
    each_s = (limit_s - left_s) / (done + retaken)
    return max(0, min(done, int(left_s / each_s))) if each_s else done


def _reasons(records: Sequence[Record], *, steady: bool) -> dict[str, None]:
    """Why a launch is made again, each reason once."""
    found = [reason for record in records for reason in record.invalid]
    return dict.fromkeys([*found, *(record.drift for record in records if steady and record.drift)])


def unmeasured(artifact: Artifact, *, target: Target, settings: Measuring) -> Measurement:
    """As `measure`, but without samples: of such a measurement only what needs no device can be judged."""
    return Measurement(
        session="",
        artifact=artifact,
        device="none",
        target=target.name,
        on_target=False,
        protocol=settings,
        environment=_NOWHERE,
        launches=(),
    )


def _trace(session: Session, artifact: Artifact, path: str) -> Trace:
    session.progress.stage("trace", f"timing the nodes of {artifact.name}")
    with session.device.start(artifact.runtime) as agent:
        try:
            return trace(agent, artifact, path, session.protocol)
        except ValidationError as e:
            raise MeasurementError(f"{session.device.url}: the agent answered wrongly: {e!r}", "Measure again.") from e


def _measurements(
    session: Session,
    launches: Sequence[Sequence[Record]],
    retaken: Sequence[str],
    traces: Sequence[Trace | None] | None = None,
) -> Measurements:
    return tuple(
        _measurement(session, artifact, records, retaken, trace)
        for (artifact, _), records, trace in zip(
            session.placed, zip(*launches, strict=True), traces or [None] * len(session.placed), strict=True
        )
    )


def _measurement(
    session: Session,
    artifact: Artifact,
    records: Sequence[Record],
    retaken: Sequence[str],
    trace: Trace | None,
) -> Measurement:
    first, settings = records[0], session.protocol.settings
    invalid = [reason for record in records for reason in record.invalid]
    if any(record.environment != first.environment for record in records):
        invalid.append("the device's system or settings changed between launches")
    return Measurement(
        session=session.name,
        artifact=artifact,
        device=session.device.url,
        target=session.target.name,
        on_target=all(record.on_target for record in records),
        # a model whose batch is fixed is measured with that one
        protocol=settings.model_copy(
            update={
                "batch": first.batch or settings.batch,
                "launches": len(records),
                "same_cpus": all(record.same_cpus for record in records),
            }
        ),
        environment=first.environment,
        invalid=tuple(dict.fromkeys(invalid)),
        retaken=tuple(retaken),
        launches=tuple(record.launch for record in records),
        trace=trace,
    )
