"""Packages of Debian for another architecture, by this system's apt-get: its sources, its keys, lists of our own."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices.bundle.manifest import place
from edgekd.errors import EdgekdError, StorageError
from edgekd.files import sha256
from edgekd.progress import runs

NAMES = {"aarch64": "arm64", "x86_64": "amd64"}
"""What Debian calls the architectures that there are bundles for."""

_ELSEWHERE = (
    "Run `edgekd devices bundle --arch {arch} --out {arch}` in a Debian container with edgekd, "
    "and copy the folder {arch} to {place}."
)
_BASE_FILES = "base-files"  # the licences that others only name


@dataclass(frozen=True)
class Package:
    """A package, unpacked."""

    name: str
    version: str
    file: Path
    folder: Path
    """With its files."""

    @property
    def sha256(self) -> str:
        """Of its file."""
        return sha256(self.file)


class Apt:
    """apt-get for an architecture, in a folder of its own: nothing of this system's state is read or changed.

    Args:
        arch: such as "aarch64".
        folder: an empty one.

    Raises:
        EdgekdError: this system has no apt-get.
    """

    def __init__(self, arch: str, folder: Path) -> None:
        missing = [program for program in ("apt-get", "dpkg-deb") if not shutil.which(program)]
        if missing:
            message = f"a bundle is made of Debian's packages, and this system has no {' and no '.join(missing)}"
            raise EdgekdError(message, _elsewhere(arch))
        self._arch, self._folder = arch, folder
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()  # nothing is installed: all that a package depends on comes along

    def update(self) -> None:
        """Read the lists of packages. Raises EdgekdError."""
        self._run("apt-get", "update", "--error-on=any")

    def python(self) -> str:
        """The version of Python that the system's sources have, such as 3.11. Raises EdgekdError."""
        found = re.search(r"python(3\.\d+)-minimal", self._run("apt-cache", "depends", "python3-minimal"))
        if not found:
            raise self._failure("its sources have no python3-minimal")
        return found[1]

    def packages(self, wanted: Sequence[str], into: Path) -> list[Package]:
        """Download packages with all that they depend on, and unpack each in its own folder. Raises EdgekdError."""
        self._run("apt-get", "install", "--yes", "--download-only", "--no-install-recommends", *wanted, _BASE_FILES)
        return [_unpacked(file, into) for file in sorted((self._folder / "archives").glob("*.deb"))]

    def _run(self, program: str, *arguments: str) -> str:
        name = NAMES[self._arch]
        options = {
            "APT::Architecture": name,
            "APT::Architectures": name,
            "Dir::State": self._folder,
            "Dir::State::Lists": self._folder / "lists",
            "Dir::State::status": self._folder / "status",
            "Dir::Cache": self._folder,
            "Dir::Cache::Archives": self._folder / "archives",
            "Acquire::Languages": "none",
            "Dpkg::Use-Pty": "0",
            "APT::Sandbox::User": "root",  # who downloads may write in a folder of the user's
        }
        command = [program, "-q", *(f"-o{key}={value}" for key, value in options.items()), *arguments]
        runs(command)
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env={**os.environ, "LC_ALL": "C"}
        )
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
            raise self._failure(f"{program} {arguments[0]}: {' '.join(said)[:500]}")
        return done.stdout

    def _failure(self, why: str) -> EdgekdError:
        message = f"can't get Debian's {NAMES[self._arch]} packages from this system's sources: {why}"
        return EdgekdError(message, "Check the network. " + _elsewhere(self._arch))


def _elsewhere(arch: str) -> str:
    return _ELSEWHERE.format(arch=arch, place=place(arch))


def _unpacked(file: Path, into: Path) -> Package:
    name, version = _dpkg("--show", "--showformat=${Package} ${Version}", str(file)).split()
    _dpkg("--extract", str(file), str(into / name))
    return Package(name, version, file, into / name)


def _dpkg(*arguments: str) -> str:
    runs(["dpkg-deb", *arguments])
    done = subprocess.run(["dpkg-deb", *arguments], capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise StorageError(f"dpkg-deb: {done.stderr.strip()[:500]}", "Free some space, or download it again.")
    return done.stdout
