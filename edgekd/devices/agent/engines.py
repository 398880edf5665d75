"""Engines that runtimes build from artifacts on the device, stored there in a cache folder under a key."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol
else:  # on a device this folder is all there is
    import protocol


def build(runtime: Any, request: protocol.Build, cache: str | None) -> protocol.Built:
    """The engine cached under the request's key, built by the runtime if missing.

    Raises:
        ValueError: the build fails, or the folder can't be written.
    """
    engine = _folder(cache) / "engines" / request.key
    if engine.is_file():
        return protocol.Built(str(engine), engine.stat().st_size, None)
    partial = engine.with_name(f".{request.key}.{os.getpid()}")
    try:
        engine.parent.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        runtime.build(request.path, str(partial), **request.options)
        seconds = time.monotonic() - start
        partial.replace(engine)
    except OSError as e:
        raise ValueError(f"{engine.parent}: {e.strerror or e}") from e
    finally:
        if partial.exists():
            partial.unlink()
    return protocol.Built(str(engine), engine.stat().st_size, seconds)


def _folder(cache: str | None) -> Path:
    return Path(cache or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd")
