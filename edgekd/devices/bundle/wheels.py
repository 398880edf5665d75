"""Wheels of PyPI for another architecture, by pip: its configuration decides where from."""

import email.parser
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from edgekd.devices.bundle.manifest import SITE, Part
from edgekd.errors import EdgekdError
from edgekd.files import sha256
from edgekd.progress import runs

_OLDEST = 17  # glibc 2.17: manylinux2014
_LEFT_OUT = {"tests", "test"}


def download(wanted: Sequence[str], *, arch: str, python: str, glibc: str, into: Path) -> list[Path]:
    """Download the wheels of such requirements as "onnxruntime==1.23.2", with those that they depend on.

    Raises:
        EdgekdError: there is no pip, no network or no such wheel.
    """
    newest = int(glibc.split(".")[1])
    platforms = [f"--platform=manylinux_2_{minor}_{arch}" for minor in range(newest, _OLDEST - 1, -1)]
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--only-binary=:all:"]
    command += [f"--platform=manylinux2014_{arch}", *platforms, f"--python-version={python}", "--implementation=cp"]
    runs([*command, "--dest", str(into), *wanted])
    done = subprocess.run([*command, "--dest", str(into), *wanted], capture_output=True, text=True, errors="replace")
    if done.returncode == 0:
        return sorted(into.glob("*.whl"))
    said = " ".join(line for line in done.stderr.splitlines() if line.startswith("ERROR")) or done.stderr.strip()
    if "No module named pip" in said:
        hint = f"Install it: {sys.executable} -m ensurepip"
        raise EdgekdError("a bundle has wheels, which pip downloads, and it isn't installed", hint)
    message = f"can't get {' and '.join(wanted)} for Python {python} on {arch}: {said[-500:]}"
    raise EdgekdError(message, "Check the network; another --onnxruntime may have a wheel for this Python.")


def unpack(file: Path, bundle: Path) -> Part:
    """Unpack a wheel, without its tests, where the bundle's Python finds it."""
    with zipfile.ZipFile(file) as archive:
        members = [name for name in archive.namelist() if not name.endswith("/") and not _left_out(name)]
        metadata = next(name for name in members if name.endswith(".dist-info/METADATA"))
        stated = email.parser.BytesParser().parsebytes(archive.read(metadata))
        # which never leaves the folder, whatever the names
        archive.extractall(bundle / SITE, members)
    licence = stated["License-Expression"] or (stated["License"] or "").partition("\n")[0]
    texts = [name for name in members if _is_licence(PurePosixPath(name))]
    return Part(
        name=stated["Name"],
        version=stated["Version"],
        file=file.name,
        sha256=sha256(file),
        licence=licence,
        licence_files=tuple(f"{SITE}/{name}" for name in texts),
    )


def _left_out(name: str) -> bool:
    return not _LEFT_OUT.isdisjoint(PurePosixPath(name).parts[:-1])


def _is_licence(name: PurePosixPath) -> bool:
    return name.name.lower().startswith(("licen", "copying", "notice", "thirdpartynotices"))
