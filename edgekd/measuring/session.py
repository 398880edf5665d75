"""Measures artifacts side by side on a device: a fixed number of launches, or until a verdict is decided.

Raw samples are stored.
"""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from edgekd.catalog import explain
from edgekd.devices._base import Device, Engine
from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.files import sha256
from edgekd.measuring.disturbance import EMULATED, changes
from edgekd.measuring.launch import Setup, trace
from edgekd.measuring.side_by_side import Record, Session, chosen_cpus, launch
from edgekd.progress import Progress
from edgekd.values import Artifact, Host, Measurement, MeasuringProtocol, RuntimeInfo, Target, Trace

_NOWHERE = Host(machine="", arch="", os="", cpu="", cores=0, python="")

Measurements = tuple[Measurement, ...]


@dataclass(frozen=True)
class Enough:
    """The stopping rule of a session that continues until a verdict is decided."""

    decided: Callable[[Measurements], bool]
    """Whether the data so far decide the verdict; each call is a look, whose number the measurements have."""
    time_limit_s: float


def measure(
    artifacts: Sequence[Artifact],
    *,
    device: Device,
    target: Target,
    protocol: MeasuringProtocol,
    progress: Progress,
    inputs: Path | None = None,
    traced: bool = False,
    explained: int = 0,
    steady: bool = True,
    enough: Enough | None = None,
    reference: int = 0,
) -> Measurements:
    """Measure all artifacts in one session; one measurement each, in the same order.

    Args:
        artifacts: artifacts with the paths of their files.
        device: the device.
        target: the target that the device should match.
        protocol: the measuring protocol, with the number of launches.
        progress: receives each round.
        inputs: an .npz file with input values; None: random values.
        traced: whether every node is timed as well, in separate processes.
        explained: of how many of the first artifacts it is, if it can be, though nothing depends on it.
        steady: whether launches that drifted are repeated; ratios don't need it.
        enough: double the number of launches until this stopping rule or its time limit ends the session; None: only
            the protocol's launches.
        reference: index of the artifact with which the others are compared. Many artifacts are measured in groups: only
            artifacts of the same group can be compared with each other, and all with the reference.

    Raises:
        DeviceError: the device is in use or can't be reached, or doesn't have a runtime.
        UnsupportedModelError: a runtime can't load or run its artifact, or does not read it: then nothing was sent.
        MeasurementError: a runtime crashed or hung, or the lease on the device was lost.
    """
    with device.leased():
        for artifact in artifacts:
            device.require_readable(artifact)
        fed = device.push([inputs]) if inputs else None
        session = Session(
            name=uuid.uuid4().hex,
            placed=[(artifact, device.build(artifact, protocol, fed)) for artifact in artifacts],
            device=device,
            target=target,
            setup=Setup(protocol, fed, sha256(inputs) if inputs else ""),
            progress=progress,
            steady=steady,
            reference=reference,
        )
        launches, retried, looks = _launches(session, enough)
        traces: list[Trace | None]
        if traced:
            traces = [_trace(session, artifact, engine) for artifact, engine in session.placed]
        else:
            traces = [_explanation(session, artifact, engine) for artifact, engine in session.placed[:explained]]
            traces += [None] * (len(session.placed) - explained)
        return _measurements(session, launches, retried, looks, traces)


def _launches(session: Session, enough: Enough | None) -> tuple[list[list[list[Record]]], list[str], int | None]:
    """The records of each launch and artifact, why launches were repeated, and the number of looks.

    A disturbed launch is discarded and repeated; there are at most as many repetitions as launches. Only the device's
    state decides whether a launch was disturbed: a decision by the samples would bias the result.
    """
    started = time.monotonic()
    launches: list[list[list[Record]]] = []
    retried: list[str] = []
    wanted, look = session.setup.protocol.launches, 1
    while True:
        while len(launches) < wanted:
            # a disturbed one is repeated on other CPUs: the disturbance may stay where it is
            records = launch(session, len(launches), wanted, attempt=len(launches) + len(retried))
            reasons = _reasons(records, steady=session.steady)
            if reasons and len(retried) < wanted:
                retried.append("; ".join(reasons))
                session.progress.note(f"launch {len(launches) + 1} is repeated: {retried[-1]}")
            else:
                launches.append(records)
        if enough is None:
            return launches, retried, None
        if enough.decided(_measurements(session, launches, retried, look)):
            return launches, retried, look
        taken_s = time.monotonic() - started
        more = _affordable(len(launches), len(retried), taken_s=taken_s, left_s=enough.time_limit_s - taken_s)
        if more < 1:
            return launches, retried, look
        session.progress.note(f"not decided after {len(launches)} launches: measuring {more} more")
        wanted, look = wanted + more, look + 1


def _affordable(done: int, retried: int, *, taken_s: float, left_s: float) -> int:
    """As many launches as are done already, or as many as the time left allows, counting repeated ones."""
    each_s = taken_s / (done + retried)
    return int(max(0.0, min(done, left_s / each_s))) if each_s else done


def _reasons(records: Sequence[Sequence[Record]], *, steady: bool) -> dict[str, None]:
    """Why a launch is repeated, without duplicates."""
    flat = [record for of_one in records for record in of_one]
    found = [reason for record in flat for reason in record.invalid]
    return dict.fromkeys([*found, *(record.drift for record in flat if steady and record.drift)])


def unmeasured(artifact: Artifact, *, target: Target, protocol: MeasuringProtocol) -> Measurement:
    """A measurement without samples, for judging only the limits that need no device."""
    return Measurement(
        session="",
        artifact=artifact.without_folder(),
        device="none",
        target=target.name,
        on_target=False,
        protocol=protocol,
        host=_NOWHERE,
        runtime=RuntimeInfo(name=artifact.variant.runtime, version="", provider=""),
        launches=(),
    )


def _trace(session: Session, artifact: Artifact, engine: Engine) -> Trace:
    session.progress.stage("trace", f"timing the nodes of {artifact.name}")
    with session.device.start(artifact.runtime) as agent:
        try:
            setup = replace(session.setup, cpus=chosen_cpus(session, agent, 0))
            return trace(agent, artifact, engine, setup)
        except ValidationError as e:
            raise MeasurementError(explain(e, f"{session.device.title}: invalid answer", Trace)[0], "Retry.") from e


def _explanation(session: Session, artifact: Artifact, engine: Engine) -> Trace | None:
    """The trace; none where it fails: what was measured before holds without it."""
    try:
        return _trace(session, artifact, engine)
    except (DeviceError, MeasurementError, UnsupportedModelError) as e:
        session.progress.warn(f"the nodes of {artifact.name} couldn't be timed: {e.message}")
        return None


def _changes(first: Record, other: Record) -> tuple[str, ...]:
    """How the device differs between two launches of an artifact."""
    a, b = first.runtime, other.runtime
    runtime = () if a == b else (f"runtime from {a.title} {a.provider} to {b.title} {b.provider}",)
    return (*changes(first.host, other.host), *runtime)


def _measurements(
    session: Session,
    launches: Sequence[Sequence[Sequence[Record]]],
    retried: Sequence[str],
    looks: int | None,
    traces: Sequence[Trace | None] | None = None,
) -> Measurements:
    return tuple(
        _measurement(session, placed, records, retried, trace).model_copy(update={"looks": looks})
        for placed, records, trace in zip(
            session.placed, zip(*launches, strict=True), traces or [None] * len(session.placed), strict=True
        )
    )


def _measurement(
    session: Session,
    placed: tuple[Artifact, Engine],
    launches: Sequence[Sequence[Record]],
    retried: Sequence[str],
    trace: Trace | None,
) -> Measurement:
    records = [record for of_one in launches for record in of_one]
    (artifact, engine), first, protocol = placed, records[0], session.setup.protocol
    invalid = [reason for record in records for reason in record.invalid]
    if first.host.emulated:
        invalid.append(EMULATED)
    if changed := dict.fromkeys(change for record in records for change in _changes(first, record)):
        invalid.append(f"the device changed between launches: {'; '.join(changed)}")
    # what is measured is kept by the facts that the device was known by; its runtimes may have other Pythons
    known = session.device.facts.host.model_copy(update={"python": first.host.python})
    if since := changes(known, first.host):
        invalid.append(f"the device has changed since the command began: {'; '.join(since)}")
    return Measurement(
        session=session.name,
        artifact=artifact.without_folder(),
        device=session.device.url,
        target=session.target.name,
        on_target=session.device.is_of(session.target),
        # a model with a fixed batch size is measured with it
        protocol=protocol.model_copy(
            update={
                "batch": first.batch or protocol.batch,
                "launches": len(launches),
                "same_cpus": all(record.same_cpus for record in records),
            }
        ),
        host=first.host,
        runtime=first.runtime,
        invalid=tuple(dict.fromkeys(invalid)),
        retried=tuple(retried),
        launches=tuple(record.launch for record in records),
        trace=trace,
        engine_bytes=engine.bytes,
        build_seconds=engine.build_seconds,
        build_how=engine.build_how,
        when=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
