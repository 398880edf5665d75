"""What a bundle is made of, and the bundle that is kept for an architecture."""

import shutil
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from edgekd import files, folders
from edgekd.errors import StorageError
from edgekd.values import Value

_MANIFEST = "manifest.json"
_LONGEST = 10_000_000

SITE = "lib/python3/dist-packages"
"""Where Debian's Python looks for packages, below the bundle."""


class Part(Value):
    """A package of Debian, or a wheel, that a bundle has files of."""

    name: str
    version: str
    file: str
    sha256: str
    licence: str
    """As a wheel states it; "" for a package of Debian, whose file says which of its files have which."""
    licence_files: tuple[str, ...]
    """Below the bundle."""


class Bundle(Value):
    """`manifest.json` of a bundle."""

    schema_version: Literal["edgekd.bundle/1"] = "edgekd.bundle/1"
    arch: str
    key: str
    """A hash of the names and contents of its files."""
    python: str
    """Such as 3.11."""
    glibc: str
    runtimes: dict[str, str]
    """The versions of those that it has, by name."""
    loader: str
    """The dynamic loader's name in `lib/`."""
    bytes: int
    files: dict[str, str]
    """The SHA-256 of each, by its name below the bundle."""
    packages: tuple[Part, ...]
    wheels: tuple[Part, ...]

    def command(self, folder: str) -> list[str]:
        """What starts its Python where it is in that folder; packages and variables of the device don't count."""
        lib = f"{folder}/lib"
        return [f"{lib}/{self.loader}", "--library-path", lib, f"{folder}/bin/python{self.python}", "-I"]


def place(arch: str) -> Path:
    """Where the bundle of an architecture is kept. Raises StorageError where the user has no cache folder."""
    cache = folders.cache()
    if cache is None:
        raise StorageError("there is no home folder to keep a bundle in", "Set HOME or XDG_CACHE_HOME.")
    return cache / "bundles" / arch


def read(folder: Path) -> Bundle | None:
    """The bundle in a folder; None if there is none. Raises StorageError where there is something else."""
    file = folder / _MANIFEST
    if not file.exists():
        return None
    hint = f"Remove {folder}, and make it again with `edgekd devices bundle --arch …`."
    try:
        return Bundle.model_validate_json(files.read_text(file, hint=hint, at_most=_LONGEST))
    except ValidationError as e:
        raise StorageError(f"{file}: isn't the manifest of a bundle: {e.errors()[0]['msg']}", hint) from e


def write(bundle: Bundle, folder: Path) -> None:
    """Write its manifest. Raises StorageError."""
    files.write_text(folder / _MANIFEST, bundle.model_dump_json(indent=1))


def replace(folder: Path, new: Path) -> None:
    """Put a new bundle in a folder's place: it appears whole. Raises StorageError."""
    old = folder.with_name(f".{folder.name}.old")
    with files.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
