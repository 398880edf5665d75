"""A device at a URL: opened on first use, surveyed once, closed in one place."""

import hashlib
import importlib.util
import json
import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgekd import catalog, files
from edgekd.devices import agent as agent_package
from edgekd.devices import cleaning
from edgekd.devices._base import Array, Device, Engine
from edgekd.devices.agent import protocol
from edgekd.devices.agent.protocol import Holder
from edgekd.devices.client import Agent
from edgekd.devices.lease import NO_WAITING, Lease, Waiting
from edgekd.devices.pythons import install_command, installing
from edgekd.devices.transports._base import TRANSPORTS, Connection
from edgekd.errors import (
    DeviceError,
    DiskFullError,
    EdgekdError,
    MeasurementError,
    NoDeviceError,
    UnsupportedModelError,
)
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Artifact, DeviceFacts, DeviceRuntime, Host, MeasuringProtocol, Platform, Target
from edgekd.variants import complete
from edgekd.worker import WorkerError

LOCAL = "local:"
"""The default device."""

AGENT = Path(agent_package.__file__).parent
"""The folder with the agent, which is pushed to a device and started there."""

_START_S = 120.0  # a small board imports numpy and a runtime from an SD card


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
        raise EdgekdError(f"device {url!r}: {what}", catalog.nearest(transport, names))
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
        host = device.facts.host
        message = f"not measured: {device.title} ({host.arch} {host.os}) is not a device of target {target.name}"
        raise NoDeviceError(
            message, "Specify one with --device. `edgekd targets detect` reports which target a device is of."
        )


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
        self._facts = known
        self._evaluating: tuple[str, Agent] | None = None
        self._lock = threading.RLock()
        self._note = waiting.note
        self._lease = Lease(lambda: self._agent([]), self.url, waiting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the agent that evaluates, and the connection."""
        self._end_evaluation()
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
            with self._agent([]) as agent, self._answering():
                found = agent.survey({}, [target.marker or ""]).exist
            return bool(found)

    def leased(self) -> AbstractContextManager[None]:
        """Use the device alone within the block."""
        return self._lease.held()

    def holder(self) -> Holder | None:
        """Who holds the lease on the device now. Raises DeviceError."""
        with self._agent([]) as agent, self._answering():
            return agent.lease().holder

    def look(self) -> tuple[DeviceFacts, Holder | None]:
        """The facts, and who holds the lease. Of a device in use no runtime is imported: that would disturb its user.

        Raises:
            DeviceError: it can't be reached.
        """
        with self._agent([]) as agent, self._answering():
            holder = agent.lease().holder
            return self._surveyed(agent, [] if holder else self._runtimes), holder

    def identify(self) -> DeviceFacts:
        """The facts by which its kind is known. No runtime is imported: that would disturb whoever uses the device.

        Raises:
            DeviceError: it can't be reached.
        """
        with self._agent([]) as agent, self._answering():
            return self._surveyed(agent, [])

    def look_on(self) -> Agent:
        """A new agent without a runtime, which disturbs nobody; it reads the state, and who holds the lease."""
        return self._agent([])

    def install_command(self, runtime: str) -> str | None:
        """What installs a missing runtime, to be typed there; None where no such command is known."""
        return install_command(list(self._connection.python(self._runtimes)), self.facts, runtime)

    def push(self, paths: Sequence[Path]) -> str:
        """Make files available in one folder on the device; returns the path of the first one there."""
        folder = paths[0].parent
        names = [path.relative_to(folder).as_posix() for path in paths]
        return f"{self._push(folder, names)}/{names[0]}"

    def build(self, artifact: Artifact, how: MeasuringProtocol | None = None, inputs: str | None = None) -> Engine:
        """The file that the device runs for an artifact; see `_base.Device`."""
        path, runtime = self.push([file.path for file in artifact.files]), self._runtime(artifact.runtime)
        if not runtime.builds:
            return Engine(path)
        how = how or MeasuringProtocol()
        builder = [files.sha256(file) for file in runtime_files(artifact.runtime)]
        # what was timed while the device was in another power mode is kept apart, and so are its engines
        state = self.facts.host.model_dump(include={"machine", "power_mode"})
        decides = [artifact.id, runtime.version, builder, how.batch, how.shapes, how.inputs]
        key = "/".join(
            hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest() for part in (state, decides)
        )
        feeds = protocol.Feeds(batch=how.batch, shapes=how.shapes, file=inputs)
        with self.leased(), self.start(artifact.runtime) as agent, self._running(artifact, "build"):
            built = agent.build(protocol.Build(path, complete(artifact.variant), key, feeds))
        return Engine(built.path, built.bytes, built.seconds, built.how)

    def evaluate(self, artifact: Artifact, batches: Iterable[Array]) -> Iterator[Array]:
        """The first output (N, …) for each batch of N inputs; the artifact has batch size one."""
        path = self.build(artifact).path
        options = complete(artifact.variant)
        if "threads" in options:
            options["threads"] = 1  # one session per CPU
        with self.leased():
            agent = self._evaluator(artifact.runtime)
            try:
                with self._running(artifact, "run"):
                    yield from agent.evaluate(path, options, batches)
            except BaseException:  # also if the caller stops early: batches are still in flight
                self._end_evaluation()
                raise

    def start(self, runtime: str) -> Agent:
        """A new agent with that runtime. The evaluating agent is closed first: it would disturb the measurement."""
        self._lease.require()
        self._end_evaluation()
        return self._agent([runtime])

    def fetch(self, path: str, to: Path) -> None:
        """Copy a file from the device. Raises DeviceError, and StorageError if it can't be written."""
        self._connection.fetch(path, to)

    def clean(self) -> int:
        """Remove what edgekd keeps there, and close the connection; the bytes that it took.

        Raises:
            DeviceError: it can't be reached, is in use, or some of it can't be removed.
        """
        with ExitStack() as alone:
            with suppress(DiskFullError):  # there may be no room even for what takes the lease
                alone.enter_context(self.leased())
            removed = cleaning.remove(self._connection)
        self.close()
        return removed

    def _runtime(self, name: str) -> DeviceRuntime:
        """The runtime as installed on the device. Raises DeviceError if it is missing."""
        if self._facts and name in self._facts.runtimes:
            return self._facts.runtimes[name]
        # through the evaluating agent, which is usually needed next
        with self._answering():
            return DeviceRuntime(**protocol.document(self._evaluator(name).describe().runtime))

    def _survey(self) -> DeviceFacts:
        with self._agent([]) as agent, self._answering():
            return self._surveyed(agent, self._runtimes)

    def _surveyed(self, agent: Agent, runtimes: Sequence[str]) -> DeviceFacts:
        """Its facts, with those of the given runtimes that it has. Raises WorkerError."""
        markers = sorted({target.marker for target in self._targets if target.marker})
        found = agent.survey({name: self._push_runtime(name) for name in runtimes}, markers)
        return DeviceFacts(
            host=Host(**protocol.document(found.host)),
            runtimes={name: DeviceRuntime(**protocol.document(one)) for name, one in found.runtimes.items()},
            unavailable=found.unavailable,
            platform=Platform(**protocol.document(found.platform)),
            markers={marker: marker in found.exist for marker in markers},
        )

    def _note_origin(self, facts: DeviceFacts) -> None:
        for name, runtime in facts.runtimes.items():
            if runtime.origin:
                message = f"{self.url} has no Python with a runtime of its own: it runs edgekd's bundle"
                self._note(f"{message}, {name} {runtime.version} ({runtime.origin})")

    def _evaluator(self, runtime: str) -> Agent:
        """The agent that evaluates with that runtime: at most one is open, and it is reused for the next artifact."""
        with self._lock:
            if self._evaluating and self._evaluating[0] == runtime:
                return self._evaluating[1]
            self._end_evaluation()
            self._evaluating = (runtime, self._agent([runtime]))
            return self._evaluating[1]

    def _end_evaluation(self) -> None:
        with self._lock:
            ended, self._evaluating = self._evaluating, None
        if ended:
            ended[1].close()

    def _agent(self, runtimes: Sequence[str]) -> Agent:
        """A new agent, with a runtime if one is given. Raises DeviceError."""
        python = list(self._connection.python(self._runtimes))
        names = sorted(file.name for file in AGENT.glob("*.py"))
        command = [*python, self._push(AGENT, names)]
        for runtime in runtimes:
            command += ["--runtime", self._push_runtime(runtime)]
        if self._connection.cache:
            command += ["--cache", self._connection.cache]
        agent = Agent(self._connection.start(command), self.url)
        try:
            agent.describe(_START_S) if runtimes else agent.state()
        except (WorkerError, MeasurementError) as e:
            hint = e.hint or self._remedy(agent, python, runtimes, e)
            agent.close()
            raise DeviceError(f"{self.url}: the agent does not start: {e}", hint) from e
        except BaseException:
            agent.close()
            raise
        return agent

    def _remedy(self, agent: Agent, python: Sequence[str], runtimes: Sequence[str], e: Exception) -> str:
        """For an agent whose runtime can't be imported; empty for one that failed otherwise."""
        if not (isinstance(e, WorkerError) and e.kind == "error" and runtimes):
            return ""
        with self._answering():
            version = agent.survey({}, []).host.python
        return f"Install the missing packages, for example: {installing(python, version, runtimes[0])}"

    def _push_runtime(self, name: str) -> str:
        return self.push(runtime_files(name))

    def _push(self, folder: Path, names: Sequence[str]) -> str:
        hashes = {name: files.sha256(folder / name) for name in names}
        return self._connection.push(folder, hashes, content_key(hashes))

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except WorkerError as e:
            raise DeviceError(f"{self.url}: the agent does not answer: {e}", e.hint or "Try again.") from e

    @contextmanager
    def _running(self, artifact: Artifact, what: str) -> Iterator[None]:
        """Adds the artifact's name to the error if its runtime rejects it, crashes or hangs."""
        try:
            yield
        except WorkerError as e:
            if e.kind == "error":
                hint = f"Export it with operators that {artifact.runtime} supports; check that the file is complete."
                message = f"{artifact.file}: {artifact.runtime} can't {what} it: {e}"
                raise UnsupportedModelError(message, e.hint or hint) from e
            hint = "Check the device's memory and temperature, then retry."
            message = f"{artifact.file}: {artifact.runtime} failed to {what} it: {e}"
            raise MeasurementError(message, e.hint or hint) from e


def runtimes_of(target: Target | None) -> list[str]:
    """The names of the target's runtimes that edgekd supports, in the target's order; None: of all supported ones."""
    known = catalog.names(RUNTIMES)
    return known if target is None else [name for name in dict.fromkeys(target.runtimes) if name in known]


def runtime_file(name: str) -> Path:
    """The module file of a runtime, which the agent loads by path. Raises EdgekdError if the runtime is unknown."""
    known = catalog.names(RUNTIMES)
    if name not in known:
        raise EdgekdError(f"edgekd has no runtime {name!r}", catalog.nearest(name, known))
    found = importlib.util.find_spec(f"edgekd.{RUNTIMES.package}.{name}")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def runtime_files(name: str) -> list[Path]:
    """All files of a runtime, `runtime_file` first: a package has several. Raises as `runtime_file`."""
    file = runtime_file(name)
    others = file.parent.glob("*.py") if file.name == "__init__.py" else ()
    return [file, *sorted(one for one in others if one != file)]


def content_key(hashes: Mapping[str, str]) -> str:
    """A hash of the names and contents of files, from the SHA-256 of each by its name."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
