"""Starts agents on a device."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.devices.client import Agent
from edgekd.devices.failing import answering
from edgekd.devices.pythons import installing
from edgekd.devices.shipped import AGENT, content_key, runtime_files
from edgekd.devices.transports._base import Connection
from edgekd.errors import DeviceError
from edgekd.worker import WorkerError

_START_S = 120.0  # a small board imports numpy and a runtime from an SD card


@dataclass(frozen=True)
class Agents:
    """The agents of one device.

    Args:
        connection: how it is reached.
        runtimes: those that its Python should have.
    """

    connection: Connection
    runtimes: Sequence[str]

    def start(self, runtimes: Sequence[str]) -> Agent:
        """A new agent, with a runtime if one is given. Raises DeviceError, and MeasurementError for a wrong answer."""
        python = list(self.connection.python(self.runtimes))
        names = sorted(file.name for file in AGENT.glob("*.py"))
        command = [*python, self.push(AGENT, names)]
        for runtime in runtimes:
            command += ["--runtime", self.push_runtime(runtime)]
        if self.connection.cache:
            command += ["--cache", self.connection.cache]
        agent = Agent(self.connection.start(command), self.connection.title)
        try:
            agent.describe(_START_S) if runtimes else agent.state()
        except WorkerError as e:
            hint = e.hint or self._remedy(agent, python, runtimes, e)
            agent.close()
            reported = e.kind == "error" and runtimes
            what = f"{runtimes[0]} can't be loaded" if reported else "the agent does not start"
            raise DeviceError(f"{self.connection.title}: {what}: {e}", hint) from e
        except BaseException:
            agent.close()
            raise
        return agent

    def _remedy(self, agent: Agent, python: Sequence[str], runtimes: Sequence[str], e: WorkerError) -> str:
        """For an agent whose runtime can't be imported; empty for one that failed otherwise."""
        if e.kind != "error" or not runtimes:
            return ""
        with answering(self.connection.title):
            host = agent.survey({}, []).host
        if len(python) > 1:  # the bundle's own loader before its Python, which has no pip
            again = f"Make the bundle again with `edgekd devices bundle --arch {host.arch}`"
            return f"{again}, or name a --variant of a runtime that it has."
        return f"Install what is missing there: {installing(self.connection.url, python, host.python, runtimes[0])}"

    def push(self, folder: Path, names: Sequence[str]) -> str:
        """Make files below a folder available on the device, by their content; returns their folder there."""
        hashes = {name: files.sha256(folder / name) for name in names}
        return self.connection.push(folder, hashes, content_key(hashes))

    def push_files(self, paths: Sequence[Path]) -> str:
        """Make files available in one folder on the device; returns the path of the first one there."""
        folder = paths[0].parent
        names = [path.relative_to(folder).as_posix() for path in paths]
        return f"{self.push(folder, names)}/{names[0]}"

    def push_runtime(self, name: str) -> str:
        """Make a runtime's files available; returns the path of its module. Raises EdgekdError if it is unknown."""
        return self.push_files(runtime_files(name))
