"""The SHA-256 of files by all their bytes, remembered for those that can't have changed since."""

import hashlib
import json
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgekd.errors import StorageError
from edgekd.files import write_text
from edgekd.store import cache_folder

_RACY_SECONDS = 3.0
"""What was written this shortly before it was read may be written again under the same time."""
_THREADS = 4
Known = dict[str, list[object]]
"""By path: size, time of change of the content and of the file's state in nanoseconds, inode, device, SHA-256."""


def contents(paths: Sequence[Path], root: Path) -> list[str]:
    """The SHA-256 of each file's bytes.

    Those of a file whose path, size, times of change and inode are as they were aren't read again: they are kept in the
    cache folder, a file for each `root`.

    Raises:
        StorageError: a file can't be read.
    """
    name = hashlib.sha256(os.fsencode(root.absolute())).hexdigest()[:16]
    memory = cache_folder() / "contents" / f"{name}.json"
    known, began = _read(memory), time.time_ns()
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(lambda path: _content(path, known), paths))
    fresh = {_key(path): entry for path, entry in zip(paths, found, strict=True) if _settled(entry, began)}
    if fresh != known:
        _write(memory, fresh)
    return [str(entry[-1]) for entry in found]


def _content(path: Path, known: Known) -> list[object]:
    try:
        state = path.stat()
        stated: list[object] = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev]
        before = known.get(_key(path))
        if before and before[:-1] == stated:
            return before
        if not stat.S_ISREG(state.st_mode):
            raise OSError("not a regular file")  # a pipe would be waited for
        with path.open("rb") as file:
            return [*stated, hashlib.file_digest(file, "sha256").hexdigest()]
    except OSError as e:
        raise StorageError(f"{path}: can't be read: {e.strerror or e}", "Check the file and its permissions.") from e


def _key(path: Path) -> str:
    # any bytes, as ASCII
    return os.fsencode(path.absolute()).decode("latin-1")


def _settled(entry: list[object], began: int) -> bool:
    newest = max(t for t in entry[1:3] if isinstance(t, int))
    return began - newest > _RACY_SECONDS * 1e9


def _read(memory: Path) -> Known:
    try:
        read = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _write(memory: Path, known: Known) -> None:
    try:
        write_text(memory, json.dumps(known))
    except StorageError:  # it is read again next time
        return
