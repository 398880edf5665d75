"""edgekd's own code, as it is installed."""

import functools
import hashlib
from pathlib import Path


@functools.cache
def digest(package: Path = Path(__file__).parent) -> str:
    """The SHA-256 of all Python files of a package and their names.

    A version alone doesn't say what computed a result: a checkout changes between releases.
    """
    found = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        found.update(f"{path.relative_to(package).as_posix()}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
