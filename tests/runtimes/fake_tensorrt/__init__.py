"""A device with TensorRT that isn't one: a Python in which `import tensorrt` gives a module with exactly the members
and the values of a version, whose engines compute by ONNX Runtime, and a CUDA runtime whose memory is the host's.

`device_python` makes such a Python for `--device local:PATH`. `modules` holds the module, `cudart.c` the library.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = FOLDER / "modules"

VERSIONS: tuple[str, ...] = tuple(json.loads((MODULES / "tensorrt" / "surface.json").read_text(encoding="utf-8")))
"""Those that there are fakes of, as TensorRT numbers them: JetPack 6.0 has 8.6, 6.2 10.3, 7.0 10.13, 7.2 10.16."""

COMPILER = shutil.which("gcc") or shutil.which("cc")
"""Without one there is no fake CUDA runtime: tests skip with that reason."""


def compile_cudart(folder: Path) -> Path:
    """Build `libcudart.so` in a folder."""
    library = folder / "libcudart.so"
    assert COMPILER
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", library, FOLDER / "cudart.c"], check=True)
    return library


def device_python(folder: Path, version: str = "10.3.0", *, python: str = sys.executable, **environment: str) -> Path:
    """A script in a new folder that starts `python` with TensorRT of that version.

    Args:
        folder: where to make it.
        version: one of `VERSIONS`; the environment variable FAKE_TENSORRT_VERSION overrides it.
        python: which has numpy and onnxruntime, and needs nothing else.
        environment: more variables of the device, such as FAKE_TENSORRT_DLA_CORES="2" (see the module and cudart.c);
            a PYTHONPATH comes after the module's.
    """
    folder.mkdir(parents=True)
    compile_cudart(folder)
    path = os.pathsep.join([str(MODULES), *filter(None, [environment.get("PYTHONPATH")])])
    set_ = {**environment, "PYTHONPATH": path, "LD_LIBRARY_PATH": str(folder)}
    lines = [f'export FAKE_TENSORRT_VERSION="${{FAKE_TENSORRT_VERSION:-{version}}}"']
    lines += [f"export {name}={shlex.quote(value)}" for name, value in set_.items()]
    script = folder / "python3"
    script.write_text("\n".join(["#!/bin/sh", *lines, f'exec {shlex.quote(python)} "$@"', ""]), encoding="utf-8")
    script.chmod(0o755)
    return script


def set_version(version: str) -> None:
    """The version that this process imports next."""
    os.environ["FAKE_TENSORRT_VERSION"] = version
