"""From a device's URL to the device, and whether it is one of a target's kind."""

from edgekd import catalog
from edgekd.devices._base import TRANSPORTS, Device
from edgekd.devices.client import Agent
from edgekd.errors import DeviceError, EdgekdError, NoDeviceError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Target
from edgekd.worker import WorkerError


def connect(url: str) -> Device:
    """The device at a URL such as `local:` or `local:/usr/bin/python3`.

    Raises:
        EdgekdError: there is no such transport.
        DeviceError: the device can't be reached.
    """
    transport, colon, where = url.partition(":")
    known = catalog.names(TRANSPORTS)
    if not colon or transport not in known:
        what = f"no transport {transport!r}" if colon else "a device is written transport:where"
        raise EdgekdError(f"device {url!r}: {what}", catalog.nearest(transport, known))
    return catalog.load(TRANSPORTS, transport).connect(where.removeprefix("//"))


def connect_target(url: str, target: Target) -> Device:
    """The device at a URL, if it is one of the target's kind.

    Raises:
        NoDeviceError: it is of another kind.
        EdgekdError, DeviceError: as `connect`, or the agent can't be started there.
    """
    device = connect(url)
    # any runtime will do to ask what the device is
    known = catalog.names(RUNTIMES)
    with device.start(next((name for name in target.runtimes if name in known), known[0])) as agent:
        try:
            if is_of_target(agent, target):
                return device
            host = agent.describe().host
        except WorkerError as e:
            raise DeviceError(f"{url}: the agent doesn't answer: {e}", "Try again.") from e
    machine = "this machine" if url.startswith("local:") else url
    raise NoDeviceError(
        f"not measured: {machine} ({host.arch} {host.os}) is no {target.title}", "Give one with --device."
    )


def is_of_target(agent: Agent, target: Target) -> bool:
    """Whether the device on which `agent` runs is one of the target's kind: architecture, system, marker.

    Raises:
        worker.WorkerError: the agent doesn't answer.
    """
    host = agent.describe().host
    if (host.arch, host.os) != (target.arch, target.os):
        return False
    return target.marker is None or agent.exists(target.marker)
