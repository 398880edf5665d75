"""A run: its directory, and the means by which its stages are built. Nothing of it decides a result."""

import logging
import time
import typing
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from edgekd.progress import Progress
from edgekd.store import Store, cache_folder, key_of
from edgekd.values import Value

_log = logging.getLogger(__name__)

I = TypeVar("I")  # noqa: E741 - inputs
T = TypeVar("T")
V = TypeVar("V", bound=Value)


class Resources:
    """What is expensive to open and may stay open between stages, such as the process that prunes."""

    def __init__(self) -> None:
        self._open: dict[object, tuple[ExitStack, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def get(self, key: object, open_one: Callable[[], AbstractContextManager[T]]) -> T:
        """What was opened under this key, or is opened now. The key must hold all that decides what it is."""
        if key not in self._open:
            stack = ExitStack()
            self._open[key] = stack, stack.enter_context(open_one())
        found: T = self._open[key][1]
        return found

    def close(self) -> None:
        """Close all of them, for example before a training that needs the memory; they open again when asked for."""
        while self._open:
            _, (stack, _) = self._open.popitem()
            stack.close()


@dataclass(frozen=True)
class Workspace:
    """What the builder of a stage gets beside its inputs."""

    folder: Path
    """For its files; what a build that was interrupted left there is still there."""
    progress: Progress
    cache: Path
    """A folder that all runs share, for what is only faster when it is found."""
    tracker: str | None
    """The tracker that trainings report their epochs to; see `edgekd.training.trackers`."""
    tracked: Path
    """The folder that trackers write to."""
    resources: Resources


@dataclass(frozen=True)
class Run:
    """One run directory, and the means to work in it."""

    store: Store
    shared: Store
    """Results that other runs may want, such as a trained teacher."""
    progress: Progress
    tracker: str | None = None
    resources: Resources = field(default_factory=Resources)

    def stage(
        self,
        name: str,
        inputs: I,
        build: Callable[[I, Workspace], V],
        *,
        shared: bool = False,
        if_found: str = "",
    ) -> V:
        """The result of a stage: found if these inputs were built before, else built now.

        Args:
            name: what the stage is called in its folder's name.
            inputs: a frozen dataclass or Value; all of it is the key, see `store.key_of`.
            build: a function of a module, which sees the inputs and its workspace alone; what it is annotated to return
                is what is stored. Files that it writes are named in the result as `File`s.
            shared: whether other runs find the result too.
            if_found: a note for when it is found.

        Raises:
            TypeError: a part of the inputs can't be a key, or `build` may see more than its inputs.
        """
        kind = _stored_type(build)
        store = self.shared if shared else self.store
        key, started = {"inputs": key_of(inputs)}, time.monotonic()
        result, found = store.stage(name, key, kind, partial(self._build, build, inputs), self.progress.note)
        how, seconds = "found" if found else "made", time.monotonic() - started
        _log.debug("%s: %s in %s, %.1f s", name, how, store.root, seconds)
        if found and if_found:
            self.progress.note(if_found)
        return result

    def _build(self, build: Callable[[I, Workspace], V], inputs: I, folder: Path) -> V:
        cache, tracked = self.shared.root, self.store.root / "track"
        return build(inputs, Workspace(folder, self.progress, cache, self.tracker, tracked, self.resources))


@contextmanager
def open_run(folder: Path, progress: Progress, tracker: str | None = None) -> Iterator[Run]:
    """The run in this folder, for one command at a time; what it opens is closed at the end.

    Raises:
        StorageError: another command is at work there, or the folder can't be written.
    """
    store = Store(folder)
    with store.lock(), Resources() as resources:
        yield Run(store, Store(cache_folder(progress.warn)), progress, tracker, resources)


def _stored_type(build: Callable[[I, Workspace], V]) -> type[V]:
    name = getattr(build, "__qualname__", "")
    if not name or "<" in name or getattr(build, "__closure__", None):
        raise TypeError(f"{build!r} may see more than its inputs: a stage is built by a function of a module")
    kind: type[V] = typing.get_type_hints(build)["return"]
    return kind
