"""A cache of decoded images on disk, one file each, for later epochs and runs.

Its files are complete: an image is written to a temporary file and renamed, and its checksum is verified when a process
first reads it. Threads and processes share the folder without locks.
"""

import functools
import hashlib
import os
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import EdgekdError
from edgekd.store import cache_folder

MOST_BYTES = 8_000_000_000
"""The cache is limited to this and to a tenth of the disk's free space, unless $EDGEKD_PIXELS_GB sets a limit."""

# the number is the version of the format
_MAGIC = b"edgekd pixels 1\n"
_HEADER = struct.Struct("<16s4I")  # magic; height, width, channels; CRC-32 of the pixels
# bytes that a process writes before it reads the folder's size again: other processes may write as well
_LOOK_AGAIN = 64_000_000
_ABANDONED_SECONDS = 3_600
# the coarsest clock of common local file systems, and of those with whole seconds (FAT: even ones only)
_CLOCK_SECONDS = 0.1
_COARSE_CLOCK_SECONDS = 3.0


class PixelCache:
    """Images (H, W, C) uint8 below one folder, at most `most_bytes` in total.

    If there is no room, images are evicted that were last read before this object was created, the least recently read
    first. Those read since are never evicted, and no more are added: a training reads all its images in every epoch, so
    a replacement would be evicted before it is read again.

    Each of several processes that write at once may exceed the limit by up to 64 MB.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self.most_bytes = most_bytes
        # minus one second, because clocks of file systems lag
        self._began = time.time() - 1
        self._admitted = 0
        self._full = False
        self._lock = threading.Lock()
        self._whole: set[str] = set()

    def read(self, key: str) -> NDArray[np.uint8] | None:
        """The image of that key; None if it is missing or damaged."""
        try:
            with self._file(key).open("rb", buffering=0) as f:
                content = np.empty(os.fstat(f.fileno()).st_size, np.uint8)
                if f.readinto(content.data) != len(content):
                    return None
            os.utime(self._file(key))
        except OSError:
            return None
        # verified once per process: only a power failure could damage the file afterwards
        pixels = _unpacked(content, check=key not in self._whole)
        if pixels is not None:
            self._whole.add(key)
        return pixels

    def keep(self, key: str, pixels: NDArray[np.uint8]) -> None:
        """Store an image if there is room. After a failed write nothing more is stored."""
        body = np.ascontiguousarray(pixels)
        header = _HEADER.pack(_MAGIC, *body.shape, zlib.crc32(body.data))
        if not self._admits(len(header) + body.nbytes):
            return
        path = self._file(key)
        partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as f:
                f.write(header)
                f.write(body.data)
            partial.replace(path)
        except OSError:
            self._full = True
            _remove(partial)

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / key[2:]

    def _admits(self, size: int) -> bool:
        with self._lock:
            if not self._full and self._admitted < size:
                self._admitted = self._room()
                self._full = self._admitted < size
            if self._full:
                return False
            self._admitted -= size
            return True

    def _room(self) -> int:
        """Bytes that may be written before the next check; evicts unread images to make room for them."""
        wanted = min(_LOOK_AGAIN, self.most_bytes // 8)
        entries = sorted(_entries(self._folder))
        used = sum(size for _, size, _ in entries)
        for read_at, size, path in entries:
            if used + wanted <= self.most_bytes or read_at >= self._began:
                break
            _remove(path)
            used -= size
        return min(wanted, self.most_bytes - used)


def _unpacked(content: NDArray[np.uint8], *, check: bool) -> NDArray[np.uint8] | None:
    if len(content) < _HEADER.size:
        return None
    magic, height, width, channels, checksum = _HEADER.unpack(content[: _HEADER.size].tobytes())
    body = content[_HEADER.size :]
    if magic != _MAGIC or len(body) != height * width * channels or (check and zlib.crc32(body.data) != checksum):
        return None
    return body.reshape(height, width, channels)


def _entries(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last read, size and path of each file; partial files of killed processes are removed."""
    for path in folder.glob("??/*"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process removed it
            continue
        if path.suffix == ".partial" and time.time() - status.st_mtime > _ABANDONED_SECONDS:
            _remove(path)
        else:
            yield status.st_mtime, status.st_size, path


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # it stays, and counts
        return


def image_key(path: Path, how: str) -> str:
    """The key of this file's image, decoded like that; a file that may have changed has another key.

    Raises:
        OSError: there is no such file.
    """
    return _key(path, path.stat(), how)


def settled_key(path: Path, how: str) -> str | None:
    """`image_key`, or None for a file changed so recently that another change could have the same timestamp."""
    status = path.stat()
    return _key(path, status, how) if settled(status.st_ctime_ns, time.time_ns()) else None


def settled(changed_ns: int, now_ns: int) -> bool:
    """Whether any later change will have another timestamp."""
    clock = _CLOCK_SECONDS if changed_ns % 10**9 else _COARSE_CLOCK_SECONDS
    return now_ns - changed_ns >= clock * 1e9


def _key(path: Path, status: os.stat_result, how: str) -> str:
    # ctime_ns as well: unlike mtime_ns it can't be set
    state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return hashlib.sha256(f"{how} {state} ".encode() + os.fsencode(path.absolute())).hexdigest()


def pixel_cache() -> PixelCache | None:
    """The cache shared by all runs of this user; None if $EDGEKD_PIXELS_GB is 0.

    Raises:
        EdgekdError: $EDGEKD_PIXELS_GB isn't a number.
    """
    folder = cache_folder() / "pixels"
    return _opened(folder, os.environ.get("EDGEKD_PIXELS_GB"))


@functools.cache
def _opened(folder: Path, stated: str | None) -> PixelCache | None:
    most = _most_bytes(folder) if stated is None else _stated_bytes(stated)
    return PixelCache(folder, most) if most else None


def _stated_bytes(stated: str) -> int:
    try:
        return int(1e9 * max(float(stated), 0.0))
    except (ValueError, OverflowError) as e:
        what = f"EDGEKD_PIXELS_GB={stated}: not a number of gigabytes"
        raise EdgekdError(what, "Set it to a number such as 20, or to 0 to disable the cache.") from e


def _most_bytes(folder: Path) -> int:
    there = next((place for place in (folder, *folder.parents) if place.exists()), None)
    if there is None:
        return 0
    kept = sum(size for _, size, _ in _entries(folder))
    return min(MOST_BYTES, (shutil.disk_usage(there).free + kept) // 10)
