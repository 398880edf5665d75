"""The user's own folders for edgekd, in the places that the system has for them."""

import os
from collections.abc import Callable
from pathlib import Path

import platformdirs

_APP = "edgekd"


def configs() -> tuple[Path, ...]:
    """Where a user's own targets and budgets may be: the place of earlier versions, `~/.edgekd`, then that of this
    system, such as `~/.config/edgekd`, which counts more. Empty where there is no home.
    """
    earlier = _found(lambda: Path("~/.edgekd").expanduser())
    return earlier + _found(lambda: platformdirs.user_config_path(_APP, appauthor=False))


def cache() -> Path | None:
    """The user's cache folder, such as `~/.cache/edgekd`; None where there is no home, as for a container's odd user.

    Earlier versions used `~/.cache/edgekd` on every system: one that exists stays in use.
    """
    places = _found(lambda: platformdirs.user_cache_path(_APP, appauthor=False))
    xdg = os.environ.get("XDG_CACHE_HOME")
    earlier = () if xdg else _found(lambda: Path("~/.cache").expanduser() / _APP)
    # not Path.is_dir, which raises in a home that may not be entered
    return next(filter(os.path.isdir, (*places, *earlier)), next(iter(places), None))


def _found(place: Callable[[], Path]) -> tuple[Path, ...]:
    """The place, unless it is in a home that isn't there."""
    try:
        found = place()
    except RuntimeError:
        return ()
    # what earlier versions of platformdirs say where there is no home begins with ~
    return (found,) if found.is_absolute() else ()
