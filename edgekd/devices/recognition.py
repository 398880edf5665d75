"""Of which targets a device is, and which come close."""

from collections.abc import Iterable, Sequence

from edgekd.values import DeviceFacts, Target


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
