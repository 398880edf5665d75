"""Files are written all or nothing: what is there is whole, whatever was killed or full in between."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import StorageError


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file all or nothing, as UTF-8.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    write_bytes(path, text.encode())


def append_text(path: Path, text: str) -> None:
    """Add to the end of a text file that others write to as well. Raises StorageError."""
    with writing(path), path.open("a", encoding="utf-8") as f:
        f.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file all or nothing; raises as `write_text`."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def copy(source: Path, to: Path) -> Path:
    """Copy a file all or nothing; returns where it is now."""
    partial = to.with_name(f".{to.name}.{os.getpid()}.partial")
    with writing(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source, partial)
            partial.replace(to)
        finally:
            partial.unlink(missing_ok=True)
    return to


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write below `path` into a StorageError."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as e:
        raise StorageError(f"{path}: a file is where its folder should be", "Give another place.") from e
    except OSError as e:
        hint = "Free some space, or give another folder. What was finished is kept; the same command goes on there."
        raise StorageError(f"{path}: {e.strerror or e}", hint) from e
