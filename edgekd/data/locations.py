"""Where data sets are looked for and downloaded to."""

import os
from pathlib import Path

from edgekd import folders
from edgekd.store import cache_folder


def bases(root: Path | None) -> list[Path]:
    """Folders that may hold data sets, the first to be searched first."""
    named = os.environ.get("EDGEKD_DATA")
    return [*([root] if root else []), *([Path(named)] if named else []), (folders.cache() or cache_folder()) / "data"]


def download_base(root: Path | None) -> Path:
    """The folder that downloads go to: the first of `bases`."""
    return bases(root)[0]
