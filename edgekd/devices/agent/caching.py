"""The cache folder on a device."""

from __future__ import annotations

import os
from pathlib import Path


def folder(given: str | None) -> Path | None:
    """The given one, otherwise edgekd's in the user's cache; None if the user has no home."""
    if given:
        return Path(given)
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - Path's own raises
    return Path(caches, "edgekd") if os.path.isabs(caches) else None  # noqa: PTH117 - for text
