"""Puts a bundle together: Debian's Python, the libraries that it needs, numpy, the runtimes, and their licences."""

import re
import shutil
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import filelock

from edgekd import catalog, files
from edgekd.devices.bundle import contents, debian, manifest, wheels
from edgekd.devices.bundle.manifest import Bundle
from edgekd.devices.pythons import OLDEST
from edgekd.devices.shipped import content_key
from edgekd.errors import EdgekdError
from edgekd.progress import Progress

_RUNTIME = "onnxruntime"
RUNTIMES = (_RUNTIME, "ncnn")
_FROM_WHEELS = ("numpy", *RUNTIMES)  # all else that they depend on is for their tools


@dataclass(frozen=True)
class Wanted:
    """What a bundle is asked to be: None is what there is, or the newest."""

    arch: str
    python: str | None = None
    onnxruntime: str | None = None

    def is_met_by(self, bundle: Bundle) -> bool:
        """Whether a bundle is what is wanted."""
        python, runtime = bundle.python, bundle.runtimes.get(_RUNTIME)
        same = bundle.arch == self.arch and self.python in (None, python) and self.onnxruntime in (None, runtime)
        return same and set(RUNTIMES) == bundle.runtimes.keys()  # those of earlier versions have fewer


def make(wanted: Wanted, progress: Progress, out: Path | None = None) -> tuple[Bundle, Path]:
    """The bundle that is wanted and its folder: `out`, or a place in the user's cache; put together unless it is there.

    Raises:
        EdgekdError: it can't be made here, or there is no such version.
        StorageError: the folder can't be written, or has something else in it.
    """
    if wanted.arch not in debian.NAMES:
        raise EdgekdError(f"no bundle for {wanted.arch!r}", catalog.nearest(wanted.arch, list(debian.NAMES)))
    if wanted.python and not re.fullmatch(r"3\.\d+", wanted.python):
        raise EdgekdError(f"{wanted.python!r} is no version of Python such as 3.11", "Give --python 3.N.")
    if wanted.python and int(wanted.python[2:]) < OLDEST[1]:
        oldest = f"3.{OLDEST[1]}"
        raise EdgekdError(f"Python {wanted.python} is older than {oldest}", f"Give --python {oldest} or a newer one.")
    folder = (out or manifest.place(wanted.arch)).absolute()
    if there := _there(folder, wanted):
        return there, folder
    with files.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        # in the cache a second one that is asked for the same waits, and then finds it
        with nullcontext() if out else filelock.FileLock(folder.with_name(f".{folder.name}.lock")):
            return _there(folder, wanted) or _put(wanted, folder, progress), folder


def _there(folder: Path, wanted: Wanted) -> Bundle | None:
    """The bundle in a folder if it is what is wanted. Raises EdgekdError where there is something else."""
    there = manifest.read(folder)
    if there is None and folder.exists():
        raise EdgekdError(f"{folder} exists and is no bundle", "Give another --out.")
    return there if there and wanted.is_met_by(there) else None


def _put(wanted: Wanted, folder: Path, progress: Progress) -> Bundle:
    """Make a bundle beside its folder, and put it in its place."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        bundle = _made(wanted, partial, progress)
        manifest.write(bundle, partial)
        manifest.replace(folder, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return bundle


def _made(wanted: Wanted, folder: Path, progress: Progress) -> Bundle:
    """Fill a folder; what it holds then."""
    with tempfile.TemporaryDirectory(prefix="edgekd-bundle-") as scratch:
        for name in ("apt", "packages", "wheels"):
            (Path(scratch) / name).mkdir()
        progress.stage("bundle", f"downloading Debian's Python for {wanted.arch}")
        apt = debian.Apt(wanted.arch, Path(scratch) / "apt")
        apt.update()
        python = wanted.python or apt.python()
        packages = apt.packages(
            [f"python{python}-minimal", f"libpython{python}-stdlib", "libstdc++6"], Path(scratch) / "packages"
        )
        glibc = next(package.version for package in packages if package.name == "libc6").partition("-")[0]
        progress.stage("bundle", f"downloading numpy, ONNX Runtime and ncnn for Python {python} on {wanted.arch}")
        runtime = f"{_RUNTIME}=={wanted.onnxruntime}" if wanted.onnxruntime else _RUNTIME
        wanted_wheels = ["numpy", runtime, *(name for name in RUNTIMES if name != _RUNTIME)]
        found = wheels.download(
            wanted_wheels, arch=wanted.arch, python=python, glibc=glibc, into=Path(scratch) / "wheels"
        )
        progress.stage("bundle", "putting it together")
        unpacked = [wheels.unpack(one, folder) for one in found if one.name.split("-")[0] in _FROM_WHEELS]
        used = contents.python(folder, packages, python)
        loader, used = contents.libraries(folder, packages, used)
        parts = contents.licences(folder, packages, used)
    hashes = {
        path.relative_to(folder).as_posix(): files.sha256(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return Bundle(
        arch=wanted.arch,
        key=content_key(hashes),
        python=python,
        glibc=glibc,
        runtimes={one.name: one.version for one in unpacked if one.name in RUNTIMES},
        loader=loader,
        bytes=sum((folder / name).stat().st_size for name in hashes),
        files=hashes,
        packages=parts,
        wheels=tuple(unpacked),
    )
