"""One launch of all artifacts of a session: one new process each, taking turns.

The artifacts are loaded and warmed up one after the other. Then they take turns of a fraction of a second, in an order
that is shuffled every round, so that temporary slowdowns of the machine affect all of them equally (as in duet
benchmarking, arXiv 2001.05811, but never two at the same time, because they would share an accelerator).

Every artifact is a process that occupies the device's memory during a launch. Many artifacts are therefore measured in
groups, one after the other. Each group contains the reference, and ratios refer to its turns in the same group.
"""

import math
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace

from pydantic import ValidationError

from edgekd.catalog import explain
from edgekd.devices._base import Device, Engine
from edgekd.devices.client import Agent
from edgekd.errors import MeasurementError
from edgekd.measuring.disturbance import contention, disturbances, drift
from edgekd.measuring.launch import Block, Opened, Setup, batch_of, cpus_of_launch, finish, open_artifact, run_block
from edgekd.measuring.statistics import PAIRS_NEEDED
from edgekd.progress import Progress
from edgekd.values import Artifact, Host, Launch, RuntimeInfo, Target

_ROUNDS_NEEDED = 3
_PERIODS_PER_TURN = 10
_ROUNDS_FOR_DRIFT, _LONG_S, _LONG_PACED_S = 10, 0.5, 1.0
"""So many canaries tell drift, each before a turn; not where turns are so long that it would take minutes: those of
slow models, and of cadences below 10 Hz.
"""
_GROUP_SIZE = 4
"""Small boards have memory for only a few processes, and in a large group a turn is far from the reference's turn."""


@dataclass(frozen=True)
class Session:
    """The state shared by all launches of a session."""

    name: str
    placed: Sequence[tuple[Artifact, Engine]]
    device: Device
    target: Target
    setup: Setup
    progress: Progress
    steady: bool
    """Whether launches that drifted are repeated; needed for absolute latencies."""
    reference: int = 0
    """Index of the artifact that is in every group."""

    def groups(self) -> list[list[int]]:
        """The indices of the artifacts measured together, each with the reference; one group if there are few."""
        others = [i for i in range(len(self.placed)) if i != self.reference]
        count = max(1, math.ceil(len(others) / (_GROUP_SIZE - 1)))
        return [sorted([self.reference, *others[number::count]]) for number in range(count)]


@dataclass(frozen=True)
class Record:
    """The result of one launch of one artifact."""

    launch: Launch
    host: Host
    runtime: RuntimeInfo
    batch: int | None
    same_cpus: bool
    invalid: tuple[str, ...]
    drift: str | None


def launch(session: Session, number: int, of: int, *, attempt: int) -> list[list[Record]]:
    """Launch `number` out of `of`: one record per artifact; for the reference, one per group.

    Args:
        session: what is measured.
        number: of the launches that count so far.
        of: as many are wanted.
        attempt: the number of this one with those that were discarded: each has other CPUs, if there are more than are
            needed.

    Raises:
        DeviceError: the device can't be reached.
        UnsupportedModelError: a runtime can't load or run its artifact.
        MeasurementError: a runtime crashed or hung.
    """
    groups = session.groups()
    records: list[list[Record]] = [[] for _ in session.placed]
    for group, members in enumerate(groups):
        part = Part(number, attempt, group, done=number * len(groups) + group, of=of * len(groups))
        for i, record in zip(members, _together(session, members, part), strict=True):
            records[i].append(record)
    return records


@dataclass(frozen=True)
class Part:
    """A launch of one group, and the progress of the session in such parts."""

    launch: int
    attempt: int
    group: int
    done: int
    of: int


def _together(session: Session, members: Sequence[int], part: Part) -> list[Record]:
    """The records of the artifacts that take turns, in the order of `members`."""
    placed = [session.placed[i] for i in members]
    with ExitStack() as processes:
        try:
            agents = _start(session, placed, processes)
            cpus = chosen_cpus(session, agents[0], part.attempt)
            setup = replace(session.setup, cpus=cpus)
            opened = [
                open_artifact(agent, artifact, engine, setup)
                for agent, (artifact, engine) in zip(agents, placed, strict=True)
            ]
            blocks = _take_turns(session, part, opened)
            same = bool(cpus) and _same_cpus(session)
            return [_record(one, taken, same, part.group) for one, taken in zip(opened, blocks, strict=True)]
        except ValidationError as e:
            raise MeasurementError(explain(e, f"{session.device.title}: invalid answer", Launch)[0], "Retry.") from e


def _take_turns(session: Session, part: Part, opened: Sequence[Opened]) -> list[list[Block]]:
    """The blocks of each artifact; those of one round ran in direct succession.

    All turns have the same duration: a block, or longer if the slowest artifact's inference or ten periods of a paced
    loop take longer.
    """
    protocol, period_s = session.setup.protocol, session.setup.period_s
    turn_s = max(protocol.block_seconds, _PERIODS_PER_TURN * (period_s or 0), *(one.latency_ms / 1e3 for one in opened))
    longest_s = _LONG_S if period_s is None else _LONG_PACED_S
    least = _ROUNDS_FOR_DRIFT if protocol.block_seconds < turn_s <= longest_s else _ROUNDS_NEEDED
    rounds = max(math.ceil(protocol.seconds / turn_s), least, math.ceil(PAIRS_NEEDED / protocol.launches))
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
    """An agent for each artifact, started in parallel: importing runtimes takes most of a launch's time."""
    with ThreadPoolExecutor(len(placed)) as pool:
        started = [pool.submit(session.device.start, artifact.runtime) for artifact, _ in placed]
    failures = [one.exception() for one in started]
    agents = [processes.enter_context(one.result()) for one in started if one.exception() is None]
    for failure in failures:
        if failure is not None:
            raise failure
    return agents


def chosen_cpus(session: Session, agent: Agent, number: int) -> tuple[int, ...]:
    """The CPUs that the artifacts of all groups run on in a launch; empty if the user or the system decides."""
    if session.setup.protocol.affinity is not None:
        return ()
    artifacts = [artifact for artifact, _ in session.placed]
    return cpus_of_launch(agent, artifacts, number, same=_same_cpus(session))


def _same_cpus(session: Session) -> bool:
    """Whether artifacts take turns on the same CPUs."""
    return len(session.placed) > 1 and session.setup.protocol.same_cpus


def _record(opened: Opened, blocks: Sequence[Block], same_cpus: bool, group: int) -> Record:
    launch = finish(opened, blocks).model_copy(update={"group": group})
    before, after = opened.before, launch.after or opened.before
    return Record(
        launch,
        opened.host,
        opened.runtime,
        batch_of(opened),
        same_cpus,
        invalid=(*disturbances(before, after), *contention(launch)),
        drift=drift(launch),
    )
