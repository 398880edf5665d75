"""What a writer provides: one module a runtime family, named as the runtime.

One file can't serve all: TensorRT wants symmetric S8 with no Q between Conv and ReLU, ONNX Runtime on x86 U8S8.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from edgekd.catalog import Kind
from edgekd.deploy.check import Tolerance
from edgekd.values import Manifest

Images = np.ndarray[Any, np.dtype[np.float32]] | np.ndarray[Any, np.dtype[np.uint8]]
"""Normalised images (N, C, H, W) float32, or pixels (N, H, W, C) uint8."""


@dataclass(frozen=True)
class Usage:
    """Python with which a user runs an artifact, by the runtime alone."""

    library: str
    """What is imported, and what `title` calls."""
    title: str
    model: str
    """The expression that opens the file, or what `build` made of it."""
    logits: str
    """The expression of the logits (C,) for `values`, an array as the file is fed, by `model`."""
    classes: str
    """The expression of the classes' names, by `model` and what lies beside it."""
    build: str = ""
    """The command that builds, on the device, what `model` opens; none where that is the file itself."""
    start: str = ""
    """A statement between `model` and `logits`."""


class Writer(Protocol):
    """The members of a writer module."""

    @property
    def tolerances(self) -> Mapping[str, Tolerance]:
        """The precisions that it writes, each with what the check demands of it when the runtime runs it."""

    def write(
        self, exported: Path, precision: str, path: Path, images: Callable[[], Images], max_opset: int | None = None
    ) -> Path:
        """The file that the runtime opens for a network in one of the precisions.

        Args:
            exported: the network as an fp32 ONNX file.
            precision: one of `tolerances`.
            path: what to call the file, in a folder that is there.
            images: gives some training images, as the file is fed, to calibrate on.
            max_opset: the highest that the runtime reads on the devices of the target; None where it isn't known.

        Returns:
            `path`, written; or `exported`, where that file serves as it is.

        Raises:
            UnsupportedModelError: it can't be written for this network, for whatever reason; nothing is left at `path`.
            StorageError: the folder isn't writable or the disk is full.
        """

    def usage(self, manifest: Manifest) -> Usage:
        """How a user runs one of its artifacts."""


WRITERS = Kind[Writer]("deploy.writers", "writer")
