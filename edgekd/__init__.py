"""edgekd compresses a trained CNN until it measurably fits a device.

`compress`, `profile` and `check` do what the commands of these names do. They return frozen values, print nothing, and
raise `EdgekdError` where the user can fix what is wrong. What is named here stays as it is between versions with the
same first two numbers; everything else in the package may change.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgekd.api import check, compress, latency_ms, profile, ratio
    from edgekd.errors import EdgekdError

__version__ = "0.1.0"
__all__ = ["EdgekdError", "check", "compress", "latency_ms", "profile", "ratio"]

# before ONNX Runtime is imported, here and in child processes: it reports its use to Microsoft unless told not to
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported when it is first used: `edgekd --help` needs none of it."""
    if name not in __all__:
        raise AttributeError(f"module 'edgekd' has no attribute {name!r}")
    return getattr(importlib.import_module("edgekd.errors" if name == "EdgekdError" else "edgekd.api"), name)
