"""What is said of a run that is interrupted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd import console


@contextmanager
def resumable(folder: Path) -> Iterator[None]:
    """Says how the run in that folder is resumed, if it is interrupted within the block."""
    try:
        yield
    except KeyboardInterrupt:
        if folder.is_dir():
            console.note(f"finished stages are kept in {folder}: run the same command again to resume")
        raise
