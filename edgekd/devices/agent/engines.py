"""Engines that runtimes build from artifacts on the device, stored there in a cache folder under a key.

Those that were not used for `UNUSED_DAYS` are removed when another one is built.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekd.devices.agent import caching, hashes, protocol
else:  # on a device this folder is all there is
    import caching
    import hashes
    import protocol

UNUSED_DAYS = 30

_HINT = "Look at the device's disk and its cache folder; `edgekd devices clean` removes what edgekd keeps there."
_DAY_S = 86_400


class StorageError(ValueError):
    """The device can't store an engine, whatever the artifact."""

    fault = "device"

    def __init__(self, message: str, hint: str = _HINT) -> None:
        super().__init__(message)
        self.hint = hint


def build(
    runtime: Any,
    request: protocol.Build,
    shapes: Callable[[Sequence[Mapping[str, Any]]], Mapping[str, tuple[int, ...]]],
    cache: str | None,
) -> protocol.Built:
    """The engine cached under the request's key, built by the runtime if missing.

    Raises:
        ValueError: the build fails.
        StorageError: the folder can't be written.
    """
    folder = caching.folder(cache)
    if folder is None:
        raise StorageError("the user has no home folder for engines", "Set HOME or XDG_CACHE_HOME there.")
    engine = folder / "engines" / request.key
    known = _known(engine)
    if known:
        _mark_used(engine)
        return known
    partial = engine.with_name(f".{engine.name}.{os.getpid()}")
    try:
        engine.parent.mkdir(parents=True, exist_ok=True)
        for left in engine.parent.glob(f".{engine.name}.*"):  # by a build whose process was killed
            left.unlink()
        start = time.monotonic()
        how = runtime.build(request.path, str(partial), shapes, **request.options)
        seconds, (sha256,) = time.monotonic() - start, hashes.of([str(partial)])
        built = protocol.Built(str(engine), partial.stat().st_size, seconds, how, sha256)
        partial.replace(engine)
        # last: without it an engine counts as unfinished
        partial.write_text(json.dumps(protocol.document(built)), encoding="utf-8")
        partial.replace(_record(engine))
        _mark_used(engine)
        _remove_unused(engine.parent.parent)
    except OSError as e:
        raise StorageError(f"{engine.parent}: {e.strerror or e}") from e
    finally:
        if partial.exists():
            partial.unlink()
    return built


def _known(engine: Path) -> protocol.Built | None:
    """What is recorded of an engine that was built earlier; None if there is none, or not the one recorded."""
    try:
        known = protocol.read(protocol.Built, json.loads(_record(engine).read_text(encoding="utf-8")))
        same = (known.path, known.bytes) == (str(engine), engine.stat().st_size)
        return known if same and hashes.of([str(engine)]) == (known.engine_sha256,) else None
    except (OSError, ValueError):
        return None


def _record(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def _mark_used(engine: Path) -> None:
    with contextlib.suppress(OSError):  # of a full disk: the engine is there nevertheless
        _last_use(engine).write_text(f"{_boot()} {time.monotonic()}", encoding="utf-8")


def _remove_unused(engines: Path) -> None:
    """Remove the engines of all folders that were not used for long."""
    for record in engines.glob("*/*.json"):
        engine = record.with_suffix("")
        with contextlib.suppress(OSError, ValueError):  # those whose last use is not known stay
            if _unused_days(engine) > UNUSED_DAYS:
                for file in (record, engine, _last_use(engine)):  # without its record it counts as unfinished
                    file.unlink()


def _unused_days(engine: Path) -> float:
    """By the clock that never jumps where it was used since the device started: many boards start with a wrong date."""
    boot, at = _last_use(engine).read_text(encoding="utf-8").split()
    if boot == _boot():
        return (time.monotonic() - float(at)) / _DAY_S
    return (time.time() - _last_use(engine).stat().st_mtime) / _DAY_S


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


def _last_use(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.used")
