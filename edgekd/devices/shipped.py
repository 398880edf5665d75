"""What is pushed to a device beside artifacts: the agent, and the files of a runtime."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from edgekd import catalog
from edgekd.devices import agent as agent_package
from edgekd.errors import EdgekdError
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Target

AGENT = Path(agent_package.__file__).parent
"""The folder with the agent, which is pushed to a device and started there."""


def runtimes_of(target: Target | None) -> list[str]:
    """The names of the target's runtimes that edgekd supports, in the target's order; None: of all supported ones."""
    known = catalog.names(RUNTIMES)
    return known if target is None else [name for name in dict.fromkeys(target.runtimes) if name in known]


def runtime_file(name: str) -> Path:
    """The module file of a runtime, which the agent loads by path. Raises EdgekdError if the runtime is unknown."""
    known = catalog.names(RUNTIMES)
    if name not in known:
        raise EdgekdError(f"edgekd has no runtime {name!r}", catalog.nearest(name, known))
    found = importlib.util.find_spec(f"edgekd.{RUNTIMES.package}.{name}")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin)


def runtime_files(name: str) -> list[Path]:
    """All files of a runtime, `runtime_file` first: a package has several. Raises as `runtime_file`."""
    file = runtime_file(name)
    others = file.parent.glob("*.py") if file.name == "__init__.py" else ()
    return [file, *sorted(one for one in others if one != file)]


def content_key(hashes: Mapping[str, str]) -> str:
    """A hash of the names and contents of files, from the SHA-256 of each by its name."""
    return hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
