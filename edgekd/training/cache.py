"""Caches a teacher's logits for every augmented view, for other students that are trained on the same views.

Views are a function of seed, epoch and index, so all students of a study with the same seed see the same views: the
first student runs the teacher, the others read the cache. Within one training views hardly ever repeat.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd.errors import StorageError
from edgekd.files import write_bytes, write_text

_WHAT = "made-by.json"
MOST_BYTES = 2_000_000_000
"""Limit per training; larger outputs are not cached."""


@dataclass(frozen=True)
class TeacherCache:
    """The teacher's logits for every epoch's view in training order, one file per epoch.

    They are stored in fp32, without loss: the training is the same with and without the cache.
    """

    folder: Path

    def read(self, epoch: int, images: int) -> Tensor | None:
        """The logits (images or more, classes) of an epoch, from 1; None if they are missing, fewer or damaged."""
        try:
            found = torch.from_numpy(np.load(self._file(epoch), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None
        return found if len(found) >= images else None

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


def open_cache(folder: Path, made_by: Mapping[str, Any]) -> TeacherCache:
    """Open the cache in this folder, or create it.

    Args:
        folder: a folder for these inputs only.
        made_by: everything that determines the teacher's outputs, JSON-able: teacher, data, augmentation, seed,
            precision.

    Raises:
        StorageError: the cache was made from other inputs, or the folder isn't writable.
    """
    stated = json.dumps(made_by, sort_keys=True, indent=1) + "\n"
    what = folder / _WHAT
    try:
        found = what.read_text(encoding="utf-8")
    except FileNotFoundError:
        write_text(what, stated)
        return TeacherCache(folder)
    except (OSError, UnicodeDecodeError) as e:
        raise StorageError(f"{what} can't be read: {e}", f"Remove {folder}.") from e
    if found != stated:
        differ = _difference(found, made_by)
        raise StorageError(f"{folder}: these teacher outputs were made with another {differ}", f"Remove {folder}.")
    return TeacherCache(folder)


def _difference(found: str, made_by: Mapping[str, Any]) -> str:
    """What differs, by name."""
    try:
        before = json.loads(found)
    except ValueError:
        return "edgekd"
    stated = json.loads(json.dumps(made_by))
    keys = sorted(stated.keys() | before.keys()) if isinstance(before, dict) else []
    return ", ".join(key for key in keys if before.get(key) != stated.get(key)) or "edgekd"
