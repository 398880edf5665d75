"""What a bundle gets of Debian's packages: the interpreter, the libraries that are needed, and all licences."""

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgekd.devices.bundle import elf
from edgekd.devices.bundle.debian import Package
from edgekd.devices.bundle.manifest import SITE, Part
from edgekd.errors import EdgekdError

_LEFT_OUT = ("__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "test", "tests", "tkinter", "turtledemo")


def python(folder: Path, packages: Sequence[Package], version: str) -> set[str]:
    """Copy the interpreter and its standard library; the names of the packages that they are from."""
    program, library = f"bin/python{version}", f"lib/python{version}"
    used = set()
    for package in packages:
        for name in (program, library):
            source = package.folder / "usr" / name
            if source.is_dir():
                ignored = shutil.ignore_patterns(*_LEFT_OUT)
                shutil.copytree(
                    source, folder / name, ignore=ignored, ignore_dangling_symlinks=True, dirs_exist_ok=True
                )
                used.add(package.name)
            elif source.is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copy(source, folder / name)
                used.add(package.name)
    return used


def libraries(folder: Path, packages: Sequence[Package], used: set[str]) -> tuple[str, set[str]]:
    """Copy the libraries that what is in the folder needs, and those that they need; the loader's name, and the
    packages that all is from.

    Raises:
        EdgekdError: a wheel needs one that Debian's packages don't have: it would fail on the device.
    """
    offered = {file.name: (file, p.name) for p in packages for file in p.folder.rglob("*.so*") if file.is_file()}
    own = {file.name for file in (folder / SITE).rglob("*.so*")}
    todo, done, loaders, used = list(_programs(folder)), set[str](), set[str](), set(used)
    while todo:
        file = todo.pop()
        needed = elf.needs(file)
        assert needed is not None
        loaders |= {Path(needed.loader).name} if needed.loader else set()
        for name in {*needed.libraries, *(Path(one).name for one in loaders)} - done - own:
            if name not in offered:
                message = f"{file.name} needs {name}, which none of Debian's packages for Python has"
                raise EdgekdError(message, "Give another --onnxruntime.")
            source, package = offered[name]
            shutil.copy(source, folder / "lib" / name)  # of a link what it leads to
            todo.append(folder / "lib" / name)
            done.add(name)
            used.add(package)
    return next(iter(loaders)), used


def _programs(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and elf.needs(file))


def licences(folder: Path, packages: Sequence[Package], used: set[str]) -> tuple[Part, ...]:
    """Copy the copyright file of each package that is used, and the licences that they name."""
    with tempfile.TemporaryDirectory() as merged:  # some have a link to another's
        for package in packages:
            for name in ("usr/share/doc", "usr/share/common-licenses"):
                if (package.folder / name).is_dir():
                    shutil.copytree(package.folder / name, Path(merged, name), symlinks=True, dirs_exist_ok=True)
        common = folder / "licences" / "common"
        shutil.copytree(Path(merged, "usr/share/common-licenses"), common)
        for package in packages:
            if package.name in used:
                shutil.copy(
                    Path(merged, "usr/share/doc", package.name, "copyright"), folder / "licences" / package.name
                )
    return tuple(_part_of_package(package) for package in packages if package.name in used)


def _part_of_package(package: Package) -> Part:
    return Part(
        name=package.name,
        version=package.version,
        file=package.file.name,
        sha256=package.sha256,
        licence="",
        licence_files=(f"licences/{package.name}",),
    )
