"""Builds an engine by trtexec, where TensorRT's Python module can run engines but not build them.

It never measures: it starts an inference before the one before it has ended, and what its latency means, and which
flags are on by themselves, changed in TensorRT 11 (transfers, CUDA graphs, spin wait). Flags are stated for each major
version and looked up in its own help.
"""

from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._build import Wish

_PLACE = "/usr/src/tensorrt/bin/trtexec"  # of JetPack, which doesn't put it on the PATH
_BANNER = re.compile(r"\[TensorRT v(\d+)\]")
_HALF = re.compile(r"\b(?:FP16|Half)\b")
_MEBIBYTE = 1 << 20
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_SHOWN = 500


def find() -> str | None:
    """The path of trtexec; None if there is none."""
    return shutil.which("trtexec") or shutil.which(_PLACE)


def build(tool: str, path: str, engine: str, *, wish: Wish, known_timings: Path) -> str:
    """Write the engine of an ONNX file; returns the command and the version.

    Args:
        tool: trtexec.
        path: the ONNX file, which leaves no axis open.
        engine: where to write.
        wish: its settings.
        known_timings: the file of TensorRT's timing cache, which trtexec reads and writes.

    Raises:
        ValueError: it can't be built.
    """
    known = _run([tool, "--help"])
    version = _version(known)
    major = int(version.partition(".")[0])
    layers = Path(f"{engine}.layers")
    fixed = [f"--onnx={path}", f"--saveEngine={engine}", f"--timingCacheFile={known_timings}"]
    fixed += ["--profilingVerbosity=detailed", f"--exportLayerInfo={layers}", *_fixed(wish, known)]
    try:
        for flags in _typing(major, wish):
            command = [tool, *fixed, *flags]
            _require_known(command[1:], known, version)
            _built(command)
            if not wish.half or _HALF.search(layers.read_text(encoding="utf-8", errors="replace")):
                return f"TensorRT {version}: {shlex.join(command)}"
    finally:
        if layers.exists():
            layers.unlink()
    raise ValueError(f"trtexec {version} built no layer in fp16: export the file in {wish.precision}")


def _typing(major: int, wish: Wish) -> list[list[str]]:
    """The flags by which layers get their types, in the order in which they are tried."""
    weakly = [*(["--int8"] if wish.integers else []), *(["--fp16"] if wish.half else [])]
    if major < 10:  # its networks are weakly typed
        return [weakly]
    if major > 10:  # and these strongly
        return [[]]
    if wish.dla_core is not None:  # a DLA takes weakly typed networks
        return [weakly]
    return [["--stronglyTyped"], *([weakly] if wish.half else [])]


def _fixed(wish: Wish, known: str) -> list[str]:
    """The flags of every version for the settings; 8.5 has another name for one of them."""
    flags = ["--skipInference" if "--skipInference" in known else "--buildOnly"]
    flags += [] if wish.tf32 else ["--noTF32"]
    if wish.workspace_mb is not None:
        flags.append(f"--memPoolSize=workspace:{wish.workspace_mb * 1_000_000 / _MEBIBYTE:.3f}")
    if wish.dla_core is not None:
        flags += [f"--useDLACore={wish.dla_core}", "--allowGPUFallback"]
    return flags


def _require_known(flags: Sequence[str], known: str, version: str) -> None:
    unknown = [flag for flag in flags if flag.partition("=")[0] not in known]
    if unknown:
        raise ValueError(f"trtexec {version} has no {', '.join(unknown)}")


def _built(command: Sequence[str]) -> None:
    """Raises ValueError with trtexec's errors."""
    told = _run(command)
    if "&&&& PASSED" in told:
        if "Automatically overriding shape" in told:
            raise ValueError("trtexec takes 1 for axes that the file leaves open: export it with fixed sizes")
        return
    errors = [line.partition("[E]")[2].strip() for line in told.splitlines() if "[E]" in line]
    raise ValueError("; ".join(errors)[:_SHOWN] or f"trtexec failed without a reason: {shlex.join(command)}")


def _version(banner: str) -> str:
    """From `[TensorRT v100300]`: two digits each for what follows the major version; v8602 is 8.6.2."""
    found = _BANNER.search(banner)
    if found is None:
        raise ValueError("trtexec did not report its version")
    number = int(found[1])
    major, rest = divmod(number, 1_000 if number < 10_000 else 10_000)
    return f"{major}.{rest // 100}.{rest % 100}"


def _run(command: Sequence[str]) -> str:
    """What a command prints. It ends with this process, however this one ends."""
    parent = os.getpid()

    def end_with_parent() -> None:
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            os._exit(1)

    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        preexec_fn=end_with_parent,
    )
    return done.stdout.decode("utf-8", "replace")
