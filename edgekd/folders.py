"""The user's own folders for edgekd, in the places that the system has for them."""

import os
from pathlib import Path

import platformdirs

_APP = "edgekd"


def configs() -> tuple[Path, ...]:
    """Where a user's own targets and budgets may be: the place of earlier versions, `~/.edgekd`, then that of this
    system, such as `~/.config/edgekd`, which counts more. Empty where there is no home.
    """
    return _absolute(Path("~/.edgekd"), platformdirs.user_config_path(_APP, appauthor=False))


def cache() -> Path | None:
    """The user's cache folder, such as `~/.cache/edgekd`; None where there is no home, as for a container's odd user.

    Earlier versions used `~/.cache/edgekd` on every system: one that exists stays in use.
    """
    places = _absolute(platformdirs.user_cache_path(_APP, appauthor=False))
    earlier = () if os.environ.get("XDG_CACHE_HOME") else _absolute(Path("~/.cache") / _APP)
    return next((place for place in (*places, *earlier) if place.is_dir()), next(iter(places), None))


def _absolute(*places: Path) -> tuple[Path, ...]:
    """The places, expanded, but for those in a home that isn't there."""
    return tuple(place for place in map(_expanded, places) if place.is_absolute())


def _expanded(place: Path) -> Path:
    try:
        return place.expanduser()
    except RuntimeError:  # no home
        return place
