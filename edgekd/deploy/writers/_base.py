"""What a quantisation writer provides: one module a runtime family, named as the runtime.

One file can't serve all: TensorRT wants symmetric S8 with no Q between Conv and ReLU, ONNX Runtime on x86 U8S8.
"""

from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgekd.catalog import Kind

Images = np.ndarray[Any, np.dtype[np.float32]] | np.ndarray[Any, np.dtype[np.uint8]]
"""Normalised images (N, C, H, W) float32, or pixels (N, H, W, C) uint8."""


class Writer(Protocol):
    """The members of a writer module."""

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those it can write; "fp32" is the file as it was exported."""

    def write_int8(self, fp32: Path, int8: Path, images: Images) -> None:
        """Write the INT8 twin of an ONNX file, calibrated on `images`: what the file is fed.

        Raises:
            UnsupportedModelError: it can't be written for this network, for whatever reason.
            StorageError: the folder isn't writable or the disk is full.
        """


WRITERS = Kind[Writer]("deploy.writers", "writer")
