"""An ONNX file quantised by NNCF, in a process of its own."""

import tempfile
from collections.abc import Sequence, Set
from pathlib import Path

import numpy as np

from edgekd.deploy.quantise.calibration import Images
from edgekd.errors import UnsupportedModelError
from edgekd.files import writing
from edgekd.worker import Worker, WorkerError, of_module

_TIMEOUT_S = 1200.0
_MEMORY_BYTES = 8e9


def quantise(
    graph: Path,
    images: Images,
    path: Path,
    *,
    layers: Set[str] | None = None,
    command: Sequence[str] | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> None:
    """Write an INT8 file, with weights stored as integers.

    Args:
        graph: the network as an fp32 ONNX file, which takes one image at a time as its only input.
        images: for the ranges of activations, as the file is fed.
        path: what to write.
        layers: those that may compute in integers, by the names of their weights; None: all.
        command: of the process; None: this Python's.
        timeout_s: the most that it may take.

    Raises:
        UnsupportedModelError: NNCF can't quantise it, crashed, or took too long or too much memory; nothing is left.
        StorageError: the folder isn't writable or the disk is full.
    """
    usual, env = of_module("edgekd.deploy.nncf.worker")
    with writing(path), tempfile.TemporaryDirectory(prefix="edgekd-", dir=path.parent.absolute()) as folder:
        given, made = Path(folder) / "images.npy", Path(folder) / "quantised.onnx"
        np.save(given, images)
        asked = {"graph": str(graph.absolute()), "images": str(given), "path": str(made)}
        chosen = None if layers is None else sorted(layers)
        try:
            with Worker(command or usual, memory_bytes=_MEMORY_BYTES, env=env) as worker:
                worker.ask({**asked, "layers": chosen}, timeout_s)
        except WorkerError as e:
            raise UnsupportedModelError(f"NNCF can't quantise it: {e}"[:500], e.hint) from e
        made.replace(path)  # all or nothing
