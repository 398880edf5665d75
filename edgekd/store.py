"""The run directory: every stage's result under a hash of its inputs, written all or nothing.

A stage is built in a folder named `.NAME-HASH.partial` that becomes `NAME-HASH` in one rename once its result is
written. What was killed in between is begun again in the same partial folder, where a resumable stage finds its
checkpoint.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import filelock
from pydantic import ValidationError

import edgekd
from edgekd.errors import StorageError
from edgekd.files import write_text, writing
from edgekd.schema import Value, document

V = TypeVar("V", bound=Value)

_RESULT = "result.json"
_SHOWN_DIGITS = 12


def cache_folder() -> Path:
    """Where results that several runs share are kept: $EDGEKD_CACHE, else the user's cache folder."""
    if given := os.environ.get("EDGEKD_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd"


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON-able inputs and of edgekd's version, the same on every machine."""
    stated = json.dumps({**inputs, "edgekd": edgekd.__version__}, sort_keys=True, default=_jsonable)
    return hashlib.sha256(stated.encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    if isinstance(value, Value):
        return document(value)
    raise TypeError(f"{type(value).__name__} can't be part of a stage's inputs")


class Store:
    """Stages' results below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second edgekd out of this folder.

        Raises:
            StorageError: another one is at work here, or the folder can't be written.
        """
        with writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.root / ".lock")
            try:
                lock.acquire(blocking=False)
            except filelock.Timeout as e:
                hint = "Wait for it, or give another --out."
                raise StorageError(f"{self.root}: another edgekd is at work here", hint) from e
        try:
            yield
        finally:
            lock.release()

    def stage(
        self, name: str, inputs: Mapping[str, Any], kind: type[V], build: Callable[[Path], V]
    ) -> tuple[V, Path, bool]:
        """The result of a stage: found if these inputs were built before, else built now.

        Args:
            name: what the stage is called in the folder's name.
            inputs: everything that the result depends on, JSON-able.
            kind: the result's type.
            build: makes the result, given the folder for its files.

        Returns:
            The result, the folder with its files, and whether it was found.
        """
        key = f"{name}-{fingerprint(inputs)[:_SHOWN_DIGITS]}"
        folder = self.root / "stages" / key
        partial = folder.with_name(f".{key}.partial")
        with writing(folder):
            partial.parent.mkdir(parents=True, exist_ok=True)
            # Two runs may want the same stage of a shared store at once: the second waits and then finds it.
            lock = filelock.FileLock(folder.with_name(f".{key}.lock"))
            lock.acquire()
        try:
            found = _read(folder / _RESULT, kind)
            if found is not None:
                return found, folder, True
            with writing(folder):
                partial.mkdir(exist_ok=True)
            result = build(partial)
            write_text(partial / _RESULT, result.model_dump_json(indent=1))
            with writing(folder):
                if folder.exists():
                    shutil.rmtree(folder)
                partial.replace(folder)
            return result, folder, False
        finally:
            lock.release()


def _read(path: Path, kind: type[V]) -> V | None:
    """A stored result; one that was damaged or is of another edgekd's shape counts as not there."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def remembered(path: Path, kind: type[V], decide: Callable[[], V]) -> V:
    """A decision that mustn't come out differently after a restart, such as one that was timed."""
    decided = _read(path, kind)
    if decided is None:
        decided = decide()
        write_text(path, decided.model_dump_json())
    return decided
