"""Files that users give are read with care; files are written all or nothing: what is there is whole, whatever was
killed or full in between.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from edgekd.errors import StorageError
from edgekd.visible import visible

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NAME_KEPT = 40  # characters of a file's name in that of its partial, which mustn't get too long


def require_file(path: Path, hint: str) -> None:
    """Raises StorageError unless there is a regular file at `path`: reading a pipe or a device may never end."""
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror}", hint) from e
    except ValueError as e:  # a null character
        raise StorageError(f"{path}: is no valid file name", hint) from e
    if kind != stat.S_IFREG:
        raise StorageError(f"{path}: is {_KINDS.get(kind, 'something else')}, not a file", hint)


def is_folder(path: Path | str) -> bool:
    """Whether there is a folder; not where a link leads in a circle, or a name is too long to be one."""
    # not Path.is_dir or os.DirEntry.is_dir, which raise there
    return os.path.isdir(path)  # noqa: PTH112


def require_utf8(what: str, given: str) -> None:
    """Raises StorageError where a path's bytes are no text, which recipes and results couldn't hold."""
    if visible(given) != given:
        raise StorageError(f"{what}: {given} isn't plain UTF-8 text", "Rename it.")


def read_text(path: Path, *, hint: str, at_most: int) -> str:
    """What is in a text file that a user gave, without the byte order mark that some editors begin it with.

    Args:
        path: the file.
        hint: what to give instead.
        at_most: bytes that such a file may have.

    Raises:
        StorageError: it can't be read, is no regular file, is longer, or isn't UTF-8.
    """
    require_file(path, hint)
    try:
        with path.open("rb") as file:
            content = file.read(at_most + 1)
        if len(content) <= at_most:
            return content.decode("utf-8-sig")
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror}", hint) from e
    except UnicodeDecodeError as e:
        raise StorageError(f"{path}: isn't UTF-8 text", f"{hint} If it is one, save it as UTF-8.") from e
    raise StorageError(f"{path}: is longer than {at_most / 1e6:g} MB", hint)


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal. Raises StorageError if it is no regular file."""
    require_file(path, "Give the path of a file.")
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file all or nothing, as UTF-8; bytes of file names that aren't UTF-8 are written out.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    write_bytes(path, text.encode(errors="backslashreplace"))


def append_text(path: Path, text: str) -> None:
    """Add to the end of a text file that others write to as well. Raises StorageError."""
    with writing(path), path.open("a", encoding="utf-8", errors="backslashreplace") as f:
        f.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file all or nothing; raises as `write_text`. A link stays one; a pipe or device gets it as it comes."""
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            _write_through(path, data)
            return
        # what is put in a link's place would be seen there alone
        with _replaced(path.resolve()) as partial, partial.open("wb") as f:
            f.write(data)


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place at the end, whole and on the disk, and only if nothing fails."""
    partial = path.with_name(f".{path.name[:_NAME_KEPT]}.{os.getpid()}.partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        with partial.open("rb+") as f:
            os.fsync(f.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_through(path: Path, data: bytes) -> None:
    """Write to a pipe or a device, which can't be replaced. Raises OSError, also where nobody reads the pipe."""
    descriptor = os.open(path, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(descriptor, True)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def copy(source: Path, to: Path) -> Path:
    """Copy a file all or nothing; returns where it is now."""
    with writing(to), _replaced(to) as partial:
        shutil.copyfile(source, partial)
    return to


def write_pieces(to: Path, pieces: Iterable[bytes]) -> None:
    """Write a file piece by piece, all or nothing. Raises StorageError, and what `pieces` raises."""
    with writing(to), _replaced(to) as partial, partial.open("wb") as file:
        for piece in pieces:
            file.write(piece)


def writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which may still have to be made itself."""
    for there in (folder, *folder.absolute().parents):
        # not Path.exists, which raises where it may not look
        if os.path.lexists(there):
            return os.path.isdir(there) and os.access(there, os.W_OK | os.X_OK)  # noqa: PTH112
    return False


def require_writable(path: Path) -> None:
    """Raises StorageError unless a file can be written at `path`: found out before the work that goes there."""
    hint = "Give the path of a file, in a folder that can be written."
    place = Path(os.path.realpath(path))  # where a link leads; Path.resolve raises where that is a circle
    if is_folder(place):
        raise StorageError(f"{path}: is a folder, not a file", hint)
    is_special = os.path.exists(place) and not os.path.isfile(place)  # noqa: PTH110, PTH113 - as in `is_folder`
    if is_special:
        return
    if not writable(place.parent):
        raise StorageError(f"{path}: can't be written", hint)
    there = next(folder for folder in place.parents if is_folder(folder))
    try:  # a file system such as /proc allows it, and refuses it
        with TemporaryFile(dir=there, prefix=".edgekd-"):
            pass
    except OSError as e:
        raise StorageError(f"{path}: can't be written: {e.strerror}", _remedy(e)) from e


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the system's refusal to write below `path` into a StorageError."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as e:
        raise StorageError(f"{path}: a file is where its folder should be", "Use another folder.") from e
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror or e}", _remedy(e)) from e


def _remedy(e: OSError) -> str:
    if e.errno in _FULL:
        return (
            "Free some space, or use another folder. A run keeps finished work: run the same command again to resume."
        )
    return "Use a folder that can be written."
