"""What is known of a device."""

from edgekd.values.measurement import Host
from edgekd.values.target import Target
from edgekd.values.value import Value


class DeviceRuntime(Value):
    """A runtime as a device has it."""

    version: str
    provider: str
    """What runs artifacts if nothing else is asked for."""
    builds: bool = False
    """Whether it builds an engine from an artifact, on the device."""
    origin: str = ""
    """As in `RuntimeInfo`."""
    precisions: tuple[str, ...] = ()
    """Those that it can run on this device, of a runtime that can tell; empty: not reported."""
    compute_capability: str | None = None
    """Of the GPU that it uses, such as "8.7"."""
    dla_cores: int | None = None
    """Deep-learning accelerators beside that GPU."""


class DeviceFacts(Value):
    """A device as it was found when it was opened; a run keeps them, and can be resumed without the device."""

    host: Host
    runtimes: dict[str, DeviceRuntime]
    """Those that edgekd knows and the device has, by name."""
    markers: dict[str, bool] = {}
    """Whether the paths by which targets are recognised exist there."""

    def are_of(self, target: Target) -> bool:
        """Whether the device is one of the target's kind: architecture, system, marker.

        Raises:
            KeyError: whether the target's marker exists is not known.
        """
        if (self.host.arch, self.host.os) != (target.arch, target.os):
            return False
        return target.marker is None or self.markers[target.marker]
