"""Caches a teacher's logits for every augmented view, for other students that are trained on the same views.

Views are a function of seed, epoch and index, so all students of a study with the same seed see the same views: the
first student runs the teacher, the others read the cache. Within one training views hardly ever repeat.

Trainings share the folder without locks: a file that is missing, because another one made room, is computed again.
"""

import contextlib
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd.errors import StorageError
from edgekd.files import write_bytes
from edgekd.progress import Progress

MOST_BYTES = 2_000_000_000
"""Limit per training; larger outputs are not cached."""
_ALL_BYTES = 10_000_000_000
"""Limit of all trainings' together, if a tenth of the disk's free space isn't less."""


class TeacherCache:
    """The teacher's logits for every epoch's view in training order, one file per epoch.

    They are stored in fp32, without loss: the training is the same with and without the cache.

    Args:
        folder: for one teacher and its views only.
        progress: hears once if nothing can be written.
    """

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder, self._progress = folder, progress
        self.keeps = True
        """Whether what is computed is kept: not after a failed write."""

    def read(self, epoch: int, images: int) -> Tensor | None:
        """The logits (images or more, classes) of an epoch, from 1; None if they are missing, fewer or damaged."""
        file = self._file(epoch)
        try:
            found = torch.from_numpy(np.load(file, allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None
        with contextlib.suppress(OSError):
            os.utime(file)  # what is used stays longest
        return found if len(found) >= images else None

    def keep(self, epoch: int, logits: Tensor) -> None:
        """Write the logits of an epoch, as long as that works: no training depends on it."""
        if not self.keeps:
            return
        try:
            self.write(epoch, logits)
        except StorageError as e:
            self.keeps = False
            self._progress.warn(f"the teacher's outputs are no longer cached: {e.message}")

    def write(self, epoch: int, logits: Tensor) -> None:
        """Write the logits of an epoch atomically.

        Raises:
            StorageError: the folder isn't writable or the disk is full.
        """
        content = io.BytesIO()
        np.save(content, logits.float().cpu().numpy())
        write_bytes(self._file(epoch), content.getvalue())

    def _file(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch:04}.npy"


def make_room(root: Path, size: int, *, but: Path) -> bool:
    """Remove what was used least recently of all trainings' outputs until there is room for further ones.

    Args:
        root: the folder of all trainings.
        size: bytes that are wanted.
        but: the folder that they are for; what is there stays.

    Returns:
        Whether there is room.
    """
    entries = sorted(_entries(root))
    most = min(_ALL_BYTES, (_free_bytes(root) + sum(used for _, used, _ in entries)) // 10)
    if size > most:
        return False
    others = [(used, path) for _, used, path in entries if path.parent != but]
    left = sum(used for used, _ in others)
    for used, path in others:
        if left + size <= most:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            left -= used
    return left + size <= most


def _entries(root: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of the last use, size and path of each file."""
    for path in root.glob("*/*"):
        with contextlib.suppress(OSError):  # another training removed it
            status = path.stat()
            yield status.st_mtime, status.st_size, path


def _free_bytes(root: Path) -> int:
    there = next(place for place in (root, *root.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free
