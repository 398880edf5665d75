"""What is known of a device."""

from fnmatch import fnmatchcase

from edgekd.values.measurement import Host
from edgekd.values.target import Target
from edgekd.values.value import NonNegative, NonNegativeInt, Value


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


class Cluster(Value):
    """CPUs of one kind, and their highest clock."""

    cpus: tuple[NonNegativeInt, ...]
    max_mhz: NonNegative | None = None


class Platform(Value):
    """What a device reports of its board and its system's software. It tells whose kind the device is, and informs; no
    result depends on it.
    """

    compatible: tuple[str, ...] = ()
    """The board's and module's identifiers in the device tree, such as "nvidia,p3767-0005"."""
    l4t: str | None = None
    jetpack: str | None = None
    cuda: str | None = None
    tensorrt: str | None = None
    """Of the installed package, whether or not Python can import it."""
    android: str | None = None
    android_sdk: int | None = None
    glibc: str | None = None
    free_bytes: NonNegativeInt | None = None
    """Where files for it are kept."""
    clusters: tuple[Cluster, ...] = ()
    """Its CPUs by kind, the fastest first."""
    power_modes: dict[str, int] = {}
    """The numbers of a Jetson's power modes by their names."""


class DeviceFacts(Value):
    """A device as it was found when it was opened; a run keeps them, and can be resumed without the device."""

    host: Host
    runtimes: dict[str, DeviceRuntime]
    """Those that edgekd knows and the device has, by name."""
    unavailable: dict[str, str] = {}
    """Why the others can't be used there."""
    platform: Platform = Platform()
    markers: dict[str, bool] = {}
    """Whether the paths by which targets are recognised exist there."""

    def are_of(self, target: Target) -> bool:
        """Whether the device is one of the target's kind; raises as `differences`."""
        return not self.differences(target)

    def differences(self, target: Target) -> tuple[str, ...]:
        """Why the device isn't one of the target's kind, the most basic difference first; empty if it is.

        Raises:
            KeyError: whether the target's marker exists is not known.
        """
        found = [
            f"its {what} is {own}, not {wanted}"
            for what, own, wanted in (
                ("architecture", self.host.arch, target.arch),
                ("system", self.host.os, target.os),
            )
            if own != wanted
        ]
        if target.compatible and self._identified_by(target) is None:
            wanted = " or ".join(target.compatible)
            known = (
                "none of its board's identifiers fits" if self.platform.compatible else "its board has no identifier:"
            )
            found.append(f"{known} {wanted}")
        # a device of another system is not asked for the path
        if not found and target.marker is not None and not self.markers[target.marker]:
            found.append(f"it has no {target.marker}")
        return tuple(found)

    def agreements(self, target: Target) -> tuple[str, ...]:
        """What the device has of all that the target's kind has; meant for one that it is of."""
        found = [f"its architecture is {self.host.arch}", f"its system is {self.host.os}"]
        if fits := self._identified_by(target):
            found.append(f"its board's identifier {fits[0]} fits {fits[1]}")
        if target.marker is not None:
            found.append(f"it has {target.marker}")
        return tuple(found)

    def _identified_by(self, target: Target) -> tuple[str, str] | None:
        """The first of the board's identifiers that fits one of the target's patterns, and that pattern."""
        pairs = ((one, pattern) for one in self.platform.compatible for pattern in target.compatible)
        return next((pair for pair in pairs if fnmatchcase(*pair)), None)
