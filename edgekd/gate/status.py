"""Which status counts where several meet."""

from edgekd.values import Status

_WORST_FIRST: tuple[Status, ...] = ("invalid", "fail", "inconclusive", "not measured", "pass")


def worst(*statuses: Status) -> Status:
    """The one that decides a verdict; "pass" where there are none."""
    return next((status for status in _WORST_FIRST if status in statuses), "pass")
