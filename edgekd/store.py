"""The run directory: every stage's result under a hash of its inputs and of edgekd's code, written all or nothing.

A stage is built in a folder named `.NAME-HASH.partial` that becomes `NAME-HASH` in one rename once its result is
written. What was killed in between is begun again in the same partial folder, where a resumable stage finds its
checkpoint.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import filelock
from pydantic import ValidationError

from edgekd import folders, sources
from edgekd.errors import StorageError
from edgekd.files import writable, write_text, writing
from edgekd.values import Value, document

V = TypeVar("V", bound=Value)
T = TypeVar("T")

_RESULT = "result.json"
_SHOWN_DIGITS = 12


def cache_folder(note: Callable[[str], None] = lambda _: None) -> Path:
    """Where results that several runs share are kept: $EDGEKD_CACHE, else the user's cache folder.

    Args:
        note: told where it is instead if the user has none that can be written.

    Raises:
        StorageError: $EDGEKD_CACHE can't be written.
    """
    if given := os.environ.get("EDGEKD_CACHE"):
        if not writable(Path(given)):
            hint = "Name a folder in it that can be written, or unset it."
            raise StorageError(f"$EDGEKD_CACHE: {given} can't be written", hint)
        return Path(given)
    usual = folders.cache()
    if usual and writable(usual):
        return usual
    why = f"{usual} can't be written" if usual else "there is no home folder"
    folder = _temporary_cache()
    note(f"{why}: results to share are kept in {folder}; $EDGEKD_CACHE names another folder")
    return folder


def _temporary_cache() -> Path:
    """The same folder each time, which nobody else may have made: what lies there is trusted."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"edgekd-cache-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and writable(folder):
            return folder
    return Path(tempfile.mkdtemp(prefix="edgekd-cache-"))


def fingerprint(inputs: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON-able inputs, the same on every machine."""
    stated = json.dumps(inputs, sort_keys=True, default=_jsonable)
    return hashlib.sha256(stated.encode()).hexdigest()


def cache_key(inputs: Mapping[str, Any]) -> str:
    """The SHA-256 of JSON-able inputs and of edgekd's code: what other code made of them may be something else."""
    return fingerprint({"inputs": inputs, "code": sources.digest()})


def key_of(inputs: Any) -> Any:
    """What stands for a stage's inputs in its key, JSON-able: all of them.

    What has a method `key` stands as that says: a file as its content, a network as what it computes, a data set as its
    images. Values and dataclasses stand as all of their fields.

    Raises:
        TypeError: a part can't be a key: a path, whose content may change; a module, whose code and tensors may.
    """
    if callable(own := getattr(inputs, "key", None)) and not isinstance(inputs, type):
        return own()
    if (parts := _fields(inputs)) is not None:
        return {name: key_of(part) for name, part in parts.items()}
    if isinstance(inputs, list | tuple):
        return [key_of(part) for part in inputs]
    if isinstance(inputs, frozenset):
        return sorted(map(key_of, inputs))
    if inputs is None or isinstance(inputs, str | int | float):
        return inputs
    raise TypeError(f"{type(inputs).__name__} can't be part of a stage's inputs")


def _fields(inputs: Any) -> dict[str, Any] | None:
    """The parts of what has named ones."""
    if isinstance(inputs, Value):
        return {name: getattr(inputs, name) for name in type(inputs).model_fields}
    if dataclasses.is_dataclass(inputs) and not isinstance(inputs, type):
        return {each.name: getattr(inputs, each.name) for each in dataclasses.fields(inputs)}
    return {str(name): part for name, part in inputs.items()} if isinstance(inputs, Mapping) else None


def _jsonable(value: Any) -> Any:
    if isinstance(value, Value):
        return document(value)
    raise TypeError(f"{type(value).__name__} can't be part of a stage's inputs")


class Store:
    """Stages' results below one folder.

    Args:
        root: the folder.
    """

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
        self,
        name: str,
        key: Mapping[str, Any],
        kind: type[V],
        build: Callable[[Path], V],
        note: Callable[[str], None] = lambda _: None,
    ) -> tuple[V, bool]:
        """The result of a stage: found if these inputs were built before, else built now.

        Args:
            name: what the stage is called in the folder's name.
            key: everything that the result depends on, JSON-able.
            kind: the result's type.
            build: makes the result, given the folder for its files.
            note: told if another edgekd makes the same result now, which may take hours.

        Returns:
            The result, and whether it was found.
        """
        # absolute, because stages name each other's files
        folder = self.root.absolute() / "stages" / f"{name}-{cache_key(key)[:_SHOWN_DIGITS]}"
        with _only_here(folder, lambda: note(f"{name} is being made by another edgekd: waiting for it")):
            if (found := _read(folder / _RESULT, kind)) is not None:
                return found, True
            return _built(folder, build), False


@contextmanager
def _only_here(folder: Path, waits: Callable[[], None]) -> Iterator[None]:
    """Two runs may want the same stage of a shared store at once: the second waits and then finds it."""
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            waits()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _built(folder: Path, build: Callable[[Path], V]) -> V:
    """Build a stage aside and put it in its place in one rename."""
    partial = folder.with_name(f".{folder.name}.partial")
    with writing(folder):
        partial.mkdir(exist_ok=True)
    result = build(partial)
    write_text(partial / _RESULT, result.model_dump_json(indent=1, context={"folder": partial}))
    with writing(folder):
        if folder.exists():
            shutil.rmtree(folder)
        partial.replace(folder)
    # its files are where they were put now
    stored = _read(folder / _RESULT, type(result))
    assert stored is not None, f"{folder}: {_RESULT} doesn't give back what was written"
    return stored


def _read(path: Path, kind: type[V]) -> V | None:
    """A stored result; one that was damaged, lacks a file or is of another edgekd's shape counts as not there."""
    try:
        return kind.model_validate_json(path.read_bytes(), context={"folder": path.parent})
    except (OSError, ValidationError):
        return None


def remembered(path: Path, kind: type[V], decide: Callable[[], V]) -> V:
    """A decision that mustn't come out differently after a restart, such as one that was timed."""
    decided = _read(path, kind)
    if decided is None:
        decided = decide()
        write_text(path, decided.model_dump_json())
    return decided
