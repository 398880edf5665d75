"""What a device transport provides."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import edgekd
from edgekd import catalog
from edgekd.catalog import Kind
from edgekd.devices.client import Agent
from edgekd.errors import DeviceError, EdgekdError, MeasurementError
from edgekd.runtimes._base import RUNTIMES
from edgekd.worker import Worker, WorkerError

AGENT = Path(edgekd.__file__).parent / "devices" / "agent"
"""The folder that is started on a device."""

_START_S = 120  # a small board imports numpy and a runtime from an SD card


class Device(Protocol):
    """One real unit and how to reach it."""

    @property
    def url(self) -> str:
        """The device as the user writes it."""

    def put(self, path: Path) -> str:
        """Make a file readable on the device; its path there. Raises DeviceError."""

    def start(self, runtime: str) -> Agent:
        """A fresh agent process with that runtime, ready for requests. Raises DeviceError."""


class Transport(Protocol):
    """The members of a transport module."""

    def connect(self, where: str) -> Device:
        """The device at `where`: what follows `transport:` or `transport://`. Raises DeviceError."""


TRANSPORTS = Kind[Transport]("devices.transports", "transport")


def runtime_file(name: str) -> Path:
    """The module of a runtime, which the agent loads by path. Raises EdgekdError if there is none."""
    known = catalog.names(RUNTIMES)
    if name not in known:
        raise EdgekdError(f"edgekd has no runtime {name!r}", catalog.nearest(name, known))
    return Path(edgekd.__file__).parent / "runtimes" / f"{name}.py"


def start_agent(command: Sequence[str], url: str) -> Agent:
    """Start the agent by `command` and wait until it has its runtime.

    Raises:
        DeviceError: it can't be started, or the runtime isn't there.
    """
    try:
        agent = Agent(Worker(command), url)
    except OSError as e:
        raise DeviceError(f"{url}: can't start {command[0]}: {e.strerror}", "Give the path of a Python there.") from e
    try:
        agent.describe(_START_S)
    except (WorkerError, MeasurementError) as e:
        agent.close()
        python = command[0]
        hint = f"Install what is missing for it, such as: {python} -m pip install onnxruntime"
        raise DeviceError(f"{url}: the agent does not start: {e}", hint) from e
    except BaseException:
        agent.close()
        raise
    return agent
