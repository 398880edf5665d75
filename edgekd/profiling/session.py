"""Measures artifacts side by side on a device.

Each launch starts one fresh process per artifact. Loading, first inference and warm-up come one artifact after the
other; then they take turns of a fraction of a second, in an order that is shuffled every round, so that what slows
the machine for a while slows all of them alike (as in duet benchmarking, arXiv 2001.05811, but without running two at
once, which would share an accelerator). Samples are kept raw.
"""

import math
import random
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edgekd.devices._base import Device
from edgekd.devices.connect import is_of_target
from edgekd.errors import DeviceError, MeasurementError
from edgekd.profiling.launch import Opened, batch_of, finish, open_artifact, run_block
from edgekd.profiling.statistics import PAIRS_NEEDED
from edgekd.progress import Progress
from edgekd.schema import Artifact, Environment, Launch, Measurement, Measuring, Target
from edgekd.worker import WorkerError

_ROUNDS_NEEDED = 3


_NOWHERE = Environment(
    machine="", arch="", os="", cpu="", cores=0, python="", runtime="", runtime_version="", provider=""
)


@dataclass(frozen=True)
class _Record:
    """What one launch of one artifact gave."""

    launch: Launch
    environment: Environment
    on_target: bool
    batch: int | None
    invalid: tuple[str, ...]


def environment(device: Device, runtime: str) -> Environment:
    """What measurements with that runtime on the device depend on. Raises DeviceError."""
    with device.start(runtime) as agent:
        try:
            return Environment(**agent.ask({"do": "describe"}, 30))
        except WorkerError as e:
            raise DeviceError(f"{device.url}: {e}", "Try again.") from e


def measure(
    artifacts: Sequence[tuple[Artifact, Path]],
    *,
    device: Device,
    target: Target,
    settings: Measuring,
    progress: Progress,
) -> tuple[Measurement, ...]:
    """Measure all artifacts in one session; one measurement each, in their order.

    Raises:
        DeviceError: the device can't be reached, or doesn't have a runtime.
        UnsupportedModelError: a runtime can't load or run its artifact.
        MeasurementError: a runtime crashed or hung.
    """
    placed = [(artifact, device.put(path)) for artifact, path in artifacts]
    launches = [
        _launch(number, placed, device=device, target=target, settings=settings, progress=progress)
        for number in range(settings.launches)
    ]
    session = uuid.uuid4().hex
    return tuple(
        _measurement(artifact, records, session=session, device=device.url, target=target.name, settings=settings)
        for (artifact, _), records in zip(placed, zip(*launches, strict=True), strict=True)
    )


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


def _launch(
    number: int,
    placed: Sequence[tuple[Artifact, str]],
    *,
    device: Device,
    target: Target,
    settings: Measuring,
    progress: Progress,
) -> list[_Record]:
    """One record per artifact."""
    with ExitStack() as processes:
        try:
            opened = [
                open_artifact(processes.enter_context(device.start(artifact.runtime)), artifact, path, settings)
                for artifact, path in placed
            ]
            blocks = _take_turns(number, opened, settings, progress)
            on_target = is_of_target(opened[0].agent, target)
            return [_record(one, taken, on_target) for one, taken in zip(opened, blocks, strict=True)]
        except (ValidationError, WorkerError, KeyError, TypeError) as e:
            raise MeasurementError(f"{device.url}: the agent answered wrongly: {e!r}", "Measure again.") from e


def _take_turns(
    number: int, opened: Sequence[Opened], settings: Measuring, progress: Progress
) -> list[list[list[float]]]:
    """The blocks of each artifact; those of one round ran one right after the other.

    A turn lasts as long as the slowest artifact's inference if that is more than a block: all get equally long.
    """
    turn_s = max(settings.block_seconds, *(one.latency_ms / 1e3 for one in opened))
    rounds = max(math.ceil(settings.seconds / turn_s), _ROUNDS_NEEDED, math.ceil(PAIRS_NEEDED / settings.launches))
    blocks: list[list[list[float]]] = [[] for _ in opened]
    order = list(range(len(opened)))
    shuffle = random.Random(number).shuffle
    for done in range(rounds):
        progress.advance(number * rounds + done, settings.launches * rounds, f"launch {number + 1}")
        shuffle(order)
        for i in order:
            blocks[i].append(run_block(opened[i], turn_s))
    progress.advance((number + 1) * rounds, settings.launches * rounds, f"launch {number + 1}")
    return blocks


def _record(opened: Opened, blocks: Sequence[Sequence[float]], on_target: bool) -> _Record:
    launch, invalid = finish(opened, blocks)
    return _Record(launch, opened.environment, on_target, batch_of(opened), invalid)


def _measurement(
    artifact: Artifact, records: Sequence[_Record], *, session: str, device: str, target: str, settings: Measuring
) -> Measurement:
    first = records[0]
    invalid = [reason for record in records for reason in record.invalid]
    if any(record.environment != first.environment for record in records):
        invalid.append("the device's system or settings changed between launches")
    return Measurement(
        session=session,
        artifact=artifact,
        device=device,
        target=target,
        on_target=all(record.on_target for record in records),
        # a model whose batch is fixed is measured with that one
        protocol=settings.model_copy(update={"batch": first.batch or settings.batch}),
        environment=first.environment,
        invalid=tuple(dict.fromkeys(invalid)),
        launches=tuple(record.launch for record in records),
    )
