"""A runtime: one module, or one package, that is imported by its path."""

from __future__ import annotations

import importlib.util
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.devices.agent import protocol, system
else:  # on a device this folder is all there is
    import protocol
    import system


def imported(path: str) -> Any:
    """The runtime's module at a path; one that is a package imports its other files relative to itself."""
    name = re.sub(r"\W", "_", f"edgekd_runtime_{path}")  # the path tells the packages of two runtimes apart
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def described(runtime: Any, **more: Any) -> protocol.Runtime:
    """What it reports of itself, with further facts."""
    facts = {**runtime.describe(), "builds": runtime.builds, "origin": system.origin(), **more}
    return protocol.read(protocol.Runtime, facts, "describe()")


def with_hint(error: Exception) -> str:
    """An error's text and, if it has one, its hint."""
    hint = getattr(error, "hint", "")
    return f"{error}. {hint}" if hint else str(error)
