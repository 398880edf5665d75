"""Bundles for tests: made once on this machine, by whichever test comes first, and kept in its folder for temporary
files until the code that makes them changes.
"""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from edgekd import catalog
from edgekd.devices import bundle as package
from edgekd.devices.bundle.make import Wanted, make
from edgekd.devices.bundle.manifest import Bundle
from edgekd.errors import EdgekdError
from edgekd.progress import Silent

TOOL = Path(__file__).parents[2] / "tools" / "arm64_root"

ONNXRUNTIME = "1.23.2"  # later ones crash when they are imported under Debian 12's qemu


def described(**changes: object) -> Bundle:
    """What a manifest says of a bundle for arm64, with these changes; without its files."""
    found = Bundle(
        arch="aarch64",
        key="k",
        python="3.11",
        glibc="2.36",
        runtimes={"onnxruntime": "1.23.2", "ncnn": "1.0"},
        loader="ld-linux-aarch64.so.1",
        bytes=0,
        files={},
        packages=(),
        wheels=(),
    )
    return found.model_copy(update=changes)


def bundle(arch: str) -> Path:
    """The folder of a bundle; skips the test where none can be made."""
    code = b"".join(path.read_bytes() for path in sorted(Path(package.__file__).parent.glob("*.py")))
    folder = Path(tempfile.gettempdir()) / f"edgekd-test-bundles-{hashlib.sha256(code).hexdigest()[:12]}"
    folder.mkdir(exist_ok=True)
    with (folder / f"{arch}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            make(Wanted(arch, onnxruntime=ONNXRUNTIME), Silent(), folder / arch)
        except EdgekdError as e:
            pytest.skip(f"no bundle can be made here: {e.message}")
    return folder / arch


def arm64_python(folder: Path, visible: list[Path]) -> Path:
    """A program in that folder that runs the arm64 bundle's Python in a root without anything else but those paths."""
    if not shutil.which("qemu-aarch64-static"):
        pytest.skip("qemu-aarch64-static isn't installed (Debian: qemu-user-static)")
    command = [str(TOOL), str(bundle("aarch64")), *map(str, visible), "--"]
    tried = subprocess.run([*command, "-c", ""], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"qemu-user can't run in a root of its own here: {tried.stderr.strip()[-200:]}")
    program = folder / "arm64-python"
    program.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    program.chmod(0o755)
    return program


def here() -> Path:
    """The folder of the code that runs on devices."""
    found = catalog.__file__
    assert found
    return Path(found).parent
