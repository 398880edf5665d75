"""Of which targets a device is, and which come close."""

from collections.abc import Iterable, Sequence

from edgekd.catalog import nearest
from edgekd.errors import EdgekdError
from edgekd.values import DeviceFacts, Target

_OTHERWISE = {
    **dict.fromkeys(("amd64", "x64", "x86-64", "x86"), "x86_64"),
    **dict.fromkeys(("arm64", "armv8", "armv8-a"), "aarch64"),
}
"""What devices report for architectures that are often called otherwise."""

_ARCHITECTURES = ("x86_64", "aarch64", "armv6l", "armv7l", "i686", "riscv64", "loongarch64", "ppc64le", "s390x")
_SYSTEMS = ("linux", "android", "darwin")
"""Those that edgekd's agent runs on."""


def require_possible(target: Target) -> None:
    """Raises EdgekdError if no device can be of the target, by its architecture or its system."""
    if target.arch not in _ARCHITECTURES:
        name = _OTHERWISE.get(target.arch.lower())
        hint = f"Devices report it as {name!r}." if name else nearest(target.arch, _ARCHITECTURES)
        raise EdgekdError(f"target {target.name}: no device has the arch {target.arch!r}", hint)
    if target.os not in _SYSTEMS:
        raise EdgekdError(f"target {target.name}: no device has the os {target.os!r}", nearest(target.os, _SYSTEMS))


def fitting(facts: DeviceFacts, targets: Iterable[Target]) -> list[Target]:
    """Those that the device is of: those of its board come before those of every computer like it."""
    return sorted((target for target in targets if facts.are_of(target)), key=is_general)


def is_general(target: Target) -> bool:
    """Whether the target is that of every device with its architecture and system."""
    return not target.compatible and target.marker is None


def close(facts: DeviceFacts, targets: Sequence[Target]) -> list[tuple[Target, tuple[str, ...]]]:
    """The other targets that the device is most like, and why it isn't of them.

    Of a device that is recognised by its board these are the others of the target's family, if there are any; else
    those of its architecture and system; else those with the fewest differences.
    """
    unlike = [(target, why) for target in targets if (why := facts.differences(target))]
    if not unlike:
        return []
    fits = fitting(facts, targets)
    family = fits[0].family if fits and not is_general(fits[0]) else None
    related = [one for one in unlike if family and one[0].family == family]
    host = facts.host
    similar = [one for one in unlike if (one[0].arch, one[0].os) == (host.arch, host.os)]
    least = min(len(why) for _, why in unlike)
    return related or similar or [one for one in unlike if len(one[1]) == least]
