"""Runs an ONNX file as it is written, without graph optimisations: the stand-in for a runtime that isn't here.

What TensorRT makes of a file's types and Q/DQ pairs is closest to what the file literally says: ONNX Runtime's own
optimisations move the pairs of INT8 files (42 to 56 dB between both, measured on three networks of ImageNet).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from edgekd.errors import UnsupportedModelError

TITLE = f"ONNX Runtime {onnxruntime.__version__} without graph optimisations"


def in_place_of(runtime: str) -> str:
    """How reports call what ran a file, where its own runtime is nowhere at hand."""
    return f"{TITLE}, in place of {runtime}"


def literal_outputs(path: Path, batches: Iterable[Any]) -> list[Any]:
    """Every output (N, …) for the inputs in the batches (N, …), one at a time.

    Raises:
        UnsupportedModelError: ONNX Runtime can't open or run it.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4  # what fails is raised
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        found = [session.run(None, {name: one[None]}) for batch in batches for one in batch]
    except Exception as e:  # its exceptions have no common base class
        reason = " ".join(str(e).split())[:300]
        raise UnsupportedModelError(f"{TITLE} can't run it: {reason}") from e
    return [np.concatenate(each) for each in zip(*found, strict=True)]
