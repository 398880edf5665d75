"""What a quantisation writer provides: one module a runtime family, named as the runtime.

One file can't serve all: TensorRT wants symmetric S8 with no Q between Conv and ReLU, ONNX Runtime on x86 U8S8.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Writer(Protocol):
    """The members of a writer module."""

    precisions: tuple[str, ...]

    def write_int8(self, fp32: Path, int8: Path, images: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        """Write the INT8 twin of an ONNX file, calibrated on `images` (N, C, H, W) float32.

        Raises:
            UnsupportedModelError: it can't be written for this network, for whatever reason.
            StorageError: the folder isn't writable or the disk is full.
        """
