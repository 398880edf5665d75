"""One launch of all artifacts of a session: a fresh process each, which take turns.

Loading, first inference and warm-up come one artifact after the other; then they take turns of a fraction of a
second, in an order that is shuffled every round, so that what slows the machine for a while slows all of them alike
(as in duet benchmarking, arXiv 2001.05811, but without running two at once, which would share an accelerator).

Every artifact is a process that stays in the device's memory during a launch. Many artifacts are therefore measured in
groups, one after the other; each contains the reference, and ratios refer to its turns in the same group.
"""

import math
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pydantic import ValidationError

from edgekd.devices._base import Device, Engine
from edgekd.devices.client import Agent
from edgekd.errors import MeasurementError
from edgekd.measuring.disturbance import disturbances, drift
from edgekd.measuring.launch import Block, Opened, Setup, batch_of, cpus_of_launch, finish, open_artifact, run_block
from edgekd.measuring.statistics import PAIRS_NEEDED
from edgekd.progress import Progress
from edgekd.values import Artifact, Host, Launch, RuntimeInfo, Target
from edgekd.worker import WorkerError

_ROUNDS_NEEDED = 3
_PERIODS_A_TURN = 10
_AT_ONCE = 4
"""Processes: a small board has the memory for a few, and the more take turns, the longer ago ran the reference."""


@dataclass(frozen=True)
class Session:
    """What all launches of a session share."""

    name: str
    placed: Sequence[tuple[Artifact, Engine]]
    device: Device
    target: Target
    setup: Setup
    progress: Progress
    steady: bool
    """Whether a launch that drifted is repeated: where milliseconds matter."""
    reference: int = 0
    """Which of the artifacts is in every group."""

    def groups(self) -> list[list[int]]:
        """Which artifacts are measured together, the reference in each; all of them where they are few."""
        others = [i for i in range(len(self.placed)) if i != self.reference]
        count = max(1, math.ceil(len(others) / (_AT_ONCE - 1)))
        return [sorted([self.reference, *others[number::count]]) for number in range(count)]


@dataclass(frozen=True)
class Record:
    """What one launch of one artifact gave."""

    launch: Launch
    host: Host
    runtime: RuntimeInfo
    batch: int | None
    same_cpus: bool
    invalid: tuple[str, ...]
    drift: str | None


def launch(session: Session, number: int, of: int) -> list[list[Record]]:
    """Launch number `number` of so many: for each artifact a record, for the reference one of each group.

    Raises:
        DeviceError: the device can't be reached.
        UnsupportedModelError: a runtime can't load or run its artifact.
        MeasurementError: a runtime crashed or hung.
    """
    groups = session.groups()
    records: list[list[Record]] = [[] for _ in session.placed]
    for group, members in enumerate(groups):
        part = Part(number, group, done=number * len(groups) + group, of=of * len(groups))
        for i, record in zip(members, _together(session, members, part), strict=True):
            records[i].append(record)
    return records


@dataclass(frozen=True)
class Part:
    """A launch of one group, and how many such parts of the session are done, of how many."""

    launch: int
    group: int
    done: int
    of: int


def _together(session: Session, members: Sequence[int], part: Part) -> list[Record]:
    """The records of the artifacts that take turns, in the order of `members`."""
    placed = [session.placed[i] for i in members]
    with ExitStack() as processes:
        try:
            agents = _start(session, placed, processes)
            cpus = _cpus(session, agents[0], part.launch)
            setup = replace(session.setup, cpus=cpus)
            opened = [
                open_artifact(agent, artifact, engine.path, setup)
                for agent, (artifact, engine) in zip(agents, placed, strict=True)
            ]
            blocks = _take_turns(session, part, opened)
            return [_record(one, taken, bool(cpus), part.group) for one, taken in zip(opened, blocks, strict=True)]
        except (ValidationError, WorkerError) as e:
            raise MeasurementError(f"{session.device.url}: invalid answer of the agent: {e!r}", "Measure again.") from e


def _take_turns(session: Session, part: Part, opened: Sequence[Opened]) -> list[list[Block]]:
    """The blocks of each artifact; those of one round ran one right after the other.

    A turn lasts as long as the slowest artifact's inference if that is more than a block, and some periods of a paced
    loop: all get equally long.
    """
    protocol, period_s = session.setup.protocol, session.setup.period_s
    turn_s = max(protocol.block_seconds, _PERIODS_A_TURN * (period_s or 0), *(one.latency_ms / 1e3 for one in opened))
    rounds = max(math.ceil(protocol.seconds / turn_s), _ROUNDS_NEEDED, math.ceil(PAIRS_NEEDED / protocol.launches))
    blocks: list[list[Block]] = [[] for _ in opened]
    order = list(range(len(opened)))
    shuffle = random.Random(part.done).shuffle
    for done in range(rounds):
        session.progress.advance(part.done * rounds + done, part.of * rounds, f"launch {part.launch + 1}")
        shuffle(order)
        for i in order:
            blocks[i].append(run_block(opened[i], turn_s, period_s))
    session.progress.advance((part.done + 1) * rounds, part.of * rounds, f"launch {part.launch + 1}")
    return blocks


def _start(session: Session, placed: Sequence[tuple[Artifact, Engine]], processes: ExitStack) -> list[Agent]:
    """An agent for each artifact, started at once: most of what a launch costs is importing runtimes."""
    with ThreadPoolExecutor(len(placed)) as pool:
        started = [pool.submit(session.device.start, artifact.runtime) for artifact, _ in placed]
    failures = [one.exception() for one in started]
    agents = [processes.enter_context(one.result()) for one in started if one.exception() is None]
    for failure in failures:
        if failure is not None:
            raise failure
    return agents


def _cpus(session: Session, agent: Agent, number: int) -> tuple[int, ...]:
    """Those that all artifacts of a launch share, whatever their groups, if they are to."""
    protocol = session.setup.protocol
    if len(session.placed) < 2 or protocol.affinity is not None or not protocol.same_cpus:
        return ()
    return cpus_of_launch(agent, [artifact for artifact, _ in session.placed], number)


def _record(opened: Opened, blocks: Sequence[Block], same_cpus: bool, group: int) -> Record:
    launch = finish(opened, blocks).model_copy(update={"group": group})
    before, after = opened.before, launch.after or opened.before
    return Record(
        launch,
        opened.host,
        opened.runtime,
        batch_of(opened),
        same_cpus,
        invalid=disturbances(before, after),
        drift=drift(launch),
    )
