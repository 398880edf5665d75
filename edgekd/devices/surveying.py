"""What an agent reports of its device, as the device's facts."""

from collections.abc import Mapping, Sequence

from edgekd.devices.agent import protocol
from edgekd.devices.client import Agent
from edgekd.values import DeviceFacts, DeviceRuntime, Host, Platform, Target


def surveyed(agent: Agent, runtimes: Mapping[str, str], targets: Sequence[Target]) -> DeviceFacts:
    """The facts of a device.

    Args:
        agent: runs there.
        runtimes: the paths of runtimes there, by name; those that can be imported are part of the facts.
        targets: whose markers are looked for.

    Raises:
        WorkerError: the agent doesn't answer.
    """
    markers = sorted({target.marker for target in targets if target.marker})
    found = agent.survey(runtimes, markers)
    return DeviceFacts(
        host=Host(**protocol.document(found.host)),
        runtimes={name: DeviceRuntime(**protocol.document(one)) for name, one in found.runtimes.items()},
        unavailable=found.unavailable,
        platform=Platform(**protocol.document(found.platform)),
        markers={marker: marker in found.exist for marker in markers},
    )
