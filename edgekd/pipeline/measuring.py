"""Measuring inside a run: the same artifacts on the same device in the same way are measured once.

An invalid measurement isn't a slow one: it is neither kept nor read, so that nothing is concluded from it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from edgekd import files
from edgekd.devices._base import Device
from edgekd.devices.device import LOCAL, connect, not_of
from edgekd.devices.lease import Waiting
from edgekd.errors import DeviceError, MeasurementError, NoDeviceError
from edgekd.measuring.disturbance import EMULATED, spoiled
from edgekd.measuring.document import read_measurement, write
from edgekd.measuring.session import measure
from edgekd.progress import Progress
from edgekd.run import Run, Workspace
from edgekd.store import key_of
from edgekd.values import Artifact, DeviceFacts, DeviceRuntime, File, Measurement, MeasuringProtocol, Target, Value

QUICK: Mapping[str, Any] = {"launches": 3, "seconds": 0.4, "block_seconds": 0.03, "warmup_seconds": 0.5}
"""Enough to tell apart networks that differ by a step of the staircase; the verdict is measured in full."""


_KNOWN = "device.json"


class KnownDevice(Value):
    """The device of a run and its facts, as the run keeps them."""

    schema_version: Literal["edgekd.device/1"] = "edgekd.device/1"
    url: str
    facts: DeviceFacts


@contextmanager
def device_of_target(url: str | None, target: Target, run: Run, wait_s: float = math.inf) -> Iterator[Device | None]:
    """The device at `url`, closed at the end; for None this machine if it is one of the target's kind, else None.

    The run keeps its facts. Where the device can't be reached, a run that knows it continues with what was measured on
    it before; only what is not measured yet fails. While somebody else uses the device, it is waited for, at most
    `wait_s` seconds each time.

    Raises:
        EdgekdError: there is no such transport.
        DeviceError: the device can't be reached, and the run doesn't know it.
        NoDeviceError: a device was given, and it isn't one of the target's kind.
    """
    waiting = Waiting(wait_s, run.progress.note)
    with connect(url or LOCAL, target, waiting=waiting) as reached, ExitStack() as stack:
        device: Device = reached
        file = run.store.root / _KNOWN
        try:
            with device.leased():  # its runtimes are imported
                known = KnownDevice(url=device.url, facts=device.facts)
        except DeviceError as e:
            kept = _kept(file, device.url)
            if kept is None:
                raise
            run.progress.warn(f"{e.message}: continuing with what was measured on it before")
            device = stack.enter_context(connect(url or LOCAL, target, kept.facts, waiting))
        else:
            files.write_text(file, known.model_dump_json(indent=1))
        if device.is_of(target):
            yield device
        elif url:
            raise NoDeviceError(not_of(device, target), "Give one of the target's kind, or leave --device out.")
        else:
            what = "nothing is measured, and exported files are checked by this machine's own runtimes"
            run.progress.warn(f"{not_of(device, target)}: {what}")
            yield None


def _kept(file: Path, url: str) -> KnownDevice | None:
    """What the run keeps of the device at that URL; a damaged file counts as not there."""
    try:
        kept = KnownDevice.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
    return kept if kept.url == url else None


@dataclass(frozen=True)
class TargetDevice:
    """A device, as one of a target's kind. The connection to it decides no result; what it is does."""

    device: Device
    target: Target

    def key(self) -> list[object]:
        """What decides the result of a stage that measures there."""
        target, device = self.target, self.device
        kind = (target.name, target.arch, target.os, target.marker, target.compatible)
        return [device.url, key_of(device.facts.host), *kind]


@dataclass(frozen=True)
class Inputs:
    """All that decides what measuring gives."""

    artifacts: tuple[Artifact, ...]
    on: TargetDevice
    runtimes: Mapping[str, DeviceRuntime | None]
    """Those of the artifacts, as the device has them; None: it has none of that name."""
    protocol: MeasuringProtocol
    steady: bool
    traced: bool
    explained: bool


class Measured(Value):
    """Measurements of one session as documents, in the order of the artifacts."""

    documents: tuple[File, ...]


def measured(
    run: Run,
    on: TargetDevice,
    artifacts: Sequence[Artifact],
    protocol: MeasuringProtocol,
    *,
    steady: bool,
    traced: bool = False,
    explained: bool = False,
) -> tuple[Measurement, ...]:
    """All artifacts, interleaved; the first is the reference of the others.

    Args:
        run: where the measurements are kept.
        on: where they are measured.
        artifacts: with the paths of their files.
        protocol: how.
        steady: whether milliseconds matter: launches that drifted are repeated then.
        traced: whether each node is timed as well.
        explained: whether it is where that can be done.

    Raises:
        MeasurementError: the device was disturbed, and again when they were measured once more; nothing is kept.
        DeviceError, UnsupportedModelError: as `session.measure`.
    """
    runtimes = {one.runtime: on.device.facts.runtimes.get(one.runtime) for one in artifacts}
    inputs = Inputs(tuple(artifacts), on, runtimes, protocol, steady, traced, explained)
    documents = run.stage("measured", inputs, measure_stage)
    found = [read_measurement(document.path) for document in documents.documents]
    # the same file may be called otherwise than when it was measured
    return tuple(m.model_copy(update={"artifact": a.without_folder()}) for m, a in zip(found, artifacts, strict=True))


def measure_stage(inputs: Inputs, at: Workspace) -> Measured:
    """Measure, and write a document for each artifact. Raises as `measured`."""
    found = _valid(inputs, at.progress)
    paths = [at.folder / f"{number}.json" for number in range(len(found))]
    for path, measurement in zip(paths, found, strict=True):
        write(path, measurement)
    return Measured(documents=tuple(File(path=path, sha256=files.sha256(path)) for path in paths))


def _valid(inputs: Inputs, progress: Progress) -> tuple[Measurement, ...]:
    """What is measured undisturbed, at the first or the second try."""
    device, steady = inputs.on.device, inputs.steady
    if device.facts.host.emulated:
        raise MeasurementError(f"{device.title}: {EMULATED}", "Give the real device with --device.")
    for last in (False, True):
        found = measure(
            inputs.artifacts,
            device=device,
            target=inputs.on.target,
            protocol=inputs.protocol,
            progress=progress,
            steady=steady,
            traced=inputs.traced,
            explained=len(inputs.artifacts) if inputs.explained else 0,
        )
        why = "; ".join(dict.fromkeys(reason for m in found for reason in (spoiled(m) if steady else m.invalid)))
        if not why:
            return found
        if not last:
            progress.warn(f"the measurement is invalid and is repeated: {why}")
    hint = "Let the device cool down, stop other programs on it, and run the command again: finished stages are kept."
    raise MeasurementError(f"{device.title}: the repeated measurement is invalid too: {why}", hint)
