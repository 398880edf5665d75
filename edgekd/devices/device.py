"""A device at a URL: opened on first use, surveyed once, closed in one place."""

import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from edgekd import catalog, files
from edgekd.devices import cleaning
from edgekd.devices._base import Array, Device, Engine
from edgekd.devices.agent import protocol
from edgekd.devices.agent.protocol import Holder
from edgekd.devices.client import Agent
from edgekd.devices.evaluating import Evaluating
from edgekd.devices.failing import answering, running
from edgekd.devices.lease import NO_WAITING, Lease, Waiting
from edgekd.devices.pythons import install_command, upgrading
from edgekd.devices.reading import require_readable
from edgekd.devices.shipped import runtime_files, runtimes_of
from edgekd.devices.starting import Agents
from edgekd.devices.surveying import surveyed
from edgekd.devices.transports._base import TRANSPORTS, Connection
from edgekd.errors import DiskFullError, EdgekdError, NoDeviceError, NoPythonError
from edgekd.values import Artifact, DeviceFacts, DeviceRuntime, MeasuringProtocol, Target
from edgekd.variants import complete

LOCAL = "local:"
"""The default device."""


def connect(
    url: str, target: Target | None = None, known: DeviceFacts | None = None, waiting: Waiting = NO_WAITING
) -> "Reached":
    """The device at a URL such as `local:` or `local:/usr/bin/python3`. It is opened on first use.

    Args:
        url: the device's URL.
        target: the target whose runtimes are surveyed. None: all runtimes of edgekd.
        known: the device's facts, if stored; the device is then not surveyed.
        waiting: what is done while somebody else holds the device's lease; the default is an error.

    Raises:
        EdgekdError: the transport is unknown.
    """
    transport, colon, where = url.partition(":")
    names = catalog.names(TRANSPORTS)
    if not colon or transport not in names:
        what = f"no transport {transport!r}" if colon else "a device URL has the form transport:where"
        hint = f"Over ssh, write ssh://{url}" if "@" in transport else catalog.nearest(transport.lower(), names)
        raise EdgekdError(f"device {url!r}: {what}", hint)
    connection = catalog.load(TRANSPORTS, transport).connect(where.removeprefix("//"))
    return Reached(connection, target, known, waiting)


def or_this_machine(device: Device | None, note: Callable[[str], None]) -> AbstractContextManager[Device]:
    """The given device, which stays open, or else this machine, which is closed at the end.

    This machine is waited for while somebody else holds its lease; `note` is called with who does.
    """
    return nullcontext(device) if device else connect(LOCAL, waiting=Waiting(math.inf, note))


def require_target(device: Device, target: Target) -> None:
    """Raises NoDeviceError if the device doesn't match the target, and DeviceError if it can't be reached."""
    if not device.is_of(target):
        hint = "Specify one with --device. `edgekd targets detect` reports which target a device matches."
        raise NoDeviceError(f"not measured: {not_of(device, target)}", hint)


def not_of(device: Device, target: Target) -> str:
    """That the device doesn't match the target, as a sentence."""
    host = device.facts.host
    return f"{device.title} ({host.arch} {host.os}) is not a device of target {target.name}"


class Reached:
    """A device over a connection; see `_base.Device`.

    Args:
        connection: the transport's connection.
        target: the target whose runtimes and marker are surveyed; None: those of all targets.
        known: the device's facts, if stored.
        waiting: what is done while somebody else holds the lease.
    """

    def __init__(
        self,
        connection: Connection,
        target: Target | None = None,
        known: DeviceFacts | None = None,
        waiting: Waiting = NO_WAITING,
    ) -> None:
        self._connection = connection
        self._targets = catalog.targets() if target is None else [target]
        self._runtimes = runtimes_of(target)
        self._agents = Agents(connection, self._runtimes)
        self._facts = known
        self._evaluating = Evaluating(self._agents)
        self._lock = threading.RLock()
        self._note = waiting.note
        self._lease = Lease(lambda: self._agents.start([]), self.title, waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the agent that evaluates, and the connection."""
        self._evaluating.close()
        self._lease.close()
        self._connection.close()

    @property
    def url(self) -> str:
        """The device as the user writes it."""
        return self._connection.url

    @property
    def title(self) -> str:
        """The name used in messages."""
        return self._connection.title

    @property
    def facts(self) -> DeviceFacts:
        """The host and its runtimes, queried once."""
        with self._lock:
            if self._facts is None:
                self._facts = self._survey()
                self._note_origin(self._facts)
            return self._facts

    def key(self) -> Any:
        """Its facts that decide a result."""
        return self.facts.model_dump(mode="json", exclude={"platform"})

    def is_of(self, target: Target) -> bool:
        """Whether the device matches the target."""
        try:
            return self.facts.are_of(target)
        except KeyError:  # this marker was not surveyed
            with self._agents.start([]) as agent, answering(self.title):
                found = agent.survey({}, [target.marker or ""]).exist
            return bool(found)

    def leased(self) -> AbstractContextManager[None]:
        """Use the device alone within the block."""
        return self._lease.held()

    def holder(self) -> Holder | None:
        """Who holds the lease on the device now. Raises DeviceError."""
        with self._agents.start([]) as agent, answering(self.title):
            return agent.lease().holder

    def look(self) -> tuple[DeviceFacts, Holder | None]:
        """The facts, and who holds the lease. Of a device in use no runtime is imported: that would disturb its user.

        Raises:
            DeviceError: it can't be reached.
        """
        with self._agents.start([]) as agent, answering(self.title):
            holder = agent.lease().holder
            return self._surveyed(agent, [] if holder else self._runtimes), holder

    def identify(self) -> DeviceFacts:
        """The facts by which its kind is known. No runtime is imported: that would disturb whoever uses the device.

        Raises:
            DeviceError: it can't be reached.
        """
        with self._agents.start([]) as agent, answering(self.title):
            return self._surveyed(agent, [])

    def look_on(self) -> Agent:
        """A new agent without a runtime, which disturbs nobody; it reads the state, and who holds the lease."""
        return self._agents.start([])

    def install_command(self, runtime: str) -> str | None:
        """See `_base.Device`."""
        return install_command(self.url, list(self._connection.python(self._runtimes)), self.facts, runtime)

    def push(self, paths: Sequence[Path]) -> str:
        """Make files available in one folder on the device; returns the path of the first one there."""
        return self._agents.push_files(paths)

    def require_readable(self, artifact: Artifact) -> None:
        """See `_base.Device`."""
        version = self._runtime(artifact.runtime).version
        require_readable(artifact, version, self.title, partial(self._upgrading, artifact.runtime))

    def build(self, artifact: Artifact, how: MeasuringProtocol | None = None, inputs: str | None = None) -> Engine:
        """The file that the device runs for an artifact; see `_base.Device`."""
        self.require_readable(artifact)
        sent, runtime = self._sent(artifact), self._runtime(artifact.runtime)
        if not runtime.builds:
            return sent
        how = how or MeasuringProtocol()
        builder = [files.sha256(file) for file in runtime_files(artifact.runtime)]
        # what was timed while the device was in another power mode is kept apart, and so are its engines
        state = self.facts.host.model_dump(include={"machine", "power_mode"})
        gpu = self._runtime(artifact.runtime).compute_capability  # which a survey tells, as it is known by now
        decides = [artifact.id, runtime.version, gpu, builder, how.batch, how.shapes, how.inputs]
        key = "/".join(
            hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for part in (state, decides)
        )
        feeds = protocol.Feeds(batch=how.batch, shapes=how.shapes, file=inputs)
        with self.leased(), self.start(artifact.runtime) as agent, running(artifact, "build"):
            built = agent.build(protocol.Build(sent.path, complete(artifact.variant), key, feeds), sent.files)
        return Engine(built.path, {built.path: built.engine_sha256}, built.bytes, built.seconds, built.how)

    def evaluate(self, artifact: Artifact, batches: Iterable[Array], output: int = 0) -> Iterator[Array]:
        """The output at that position (N, …) for each batch of N inputs; the artifact has batch size one."""
        engine = self.build(artifact)
        options = complete(artifact.variant)
        if "threads" in options:
            options["threads"] = 1  # one session per CPU
        with self.leased():
            agent = self._evaluating.agent(artifact.runtime)
            try:
                with running(artifact, "run"):
                    yield from agent.evaluate(engine.path, options, batches, engine.files, output=output)
            except BaseException:  # also if the caller stops early: batches are still in flight
                self._evaluating.close()
                raise

    def start(self, runtime: str) -> Agent:
        """A new agent with that runtime. The evaluating agent is closed first: it would disturb the measurement."""
        self._lease.require()
        self._evaluating.close()
        return self._agents.start([runtime])

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file from the device. Raises DeviceError, and StorageError if it can't be written."""
        self._connection.fetch(path, to)

    def clean(self) -> int | None:
        """Remove what edgekd keeps there, and close the connection; the bytes that it took, None if not known.

        Nothing but the small agent is sent for it, and only to a device with a Python of its own.

        Raises:
            DeviceError: it can't be reached, is in use, or some of it can't be removed.
        """
        # with any Python: one with a runtime might have to be sent first
        lease = Lease(lambda: Agents(self._connection, []).start([]), self.title)
        with ExitStack() as alone:
            alone.callback(lease.close)
            leased = False
            try:
                alone.enter_context(lease.held())
                leased = True
            except (DiskFullError, NoPythonError):  # no room even for what takes the lease, or nothing to run it
                if self._connection.cache is None:
                    raise
            removed = cleaning.remove(self._connection, leased=leased)
        self.close()
        return removed

    def _runtime(self, name: str) -> DeviceRuntime:
        """The runtime as installed on the device. Raises DeviceError if it is missing."""
        if self._facts and name in self._facts.runtimes:
            return self._facts.runtimes[name]
        # through the evaluating agent, which is usually needed next
        with answering(self.title):
            return DeviceRuntime(**protocol.document(self._evaluating.agent(name).describe().runtime))

    def _upgrading(self, runtime: str, least: str) -> str:
        return upgrading(self.url, list(self._connection.python(self._runtimes)), self.facts, runtime, least)

    def _survey(self) -> DeviceFacts:
        with self._agents.start([]) as agent, answering(self.title):
            return self._surveyed(agent, self._runtimes)

    def _surveyed(self, agent: Agent, runtimes: Sequence[str]) -> DeviceFacts:
        """Its facts, with those of the given runtimes that it has. Raises WorkerError."""
        return surveyed(agent, {name: self._agents.push_runtime(name) for name in runtimes}, self._targets)

    def _note_origin(self, facts: DeviceFacts) -> None:
        for name, runtime in facts.runtimes.items():
            if runtime.origin:
                message = f"{self.url} has no Python with a runtime of its own: it runs edgekd's bundle"
                self._note(f"{message}, {name} {runtime.version} ({runtime.origin})")

    def _sent(self, artifact: Artifact) -> Engine:
        """The artifact itself, on the device."""
        there = PurePosixPath(self.push([file.path for file in artifact.files])).parent
        folder = artifact.path.parent
        found = {str(there / file.path.relative_to(folder).as_posix()): file.sha256 for file in artifact.files}
        return Engine(next(iter(found)), found)
