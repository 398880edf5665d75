"""Calibration: what all writers quantise a network with, made once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import files, onnx_file
from edgekd.deploy.given.usable import require_usable
from edgekd.deploy.quantise.choice import chosen
from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.learned import with_learned
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.simplify import require_scales_by_channel, simplified
from edgekd.deploy.refusal import refusing
from edgekd.errors import UnsupportedModelError
from edgekd.values import File, Value

Images = np.ndarray[Any, np.dtype[np.float32]] | np.ndarray[Any, np.dtype[np.uint8]]
"""Normalised images (N, C, H, W) float32, or pixels (N, H, W, C) uint8."""


@dataclass(frozen=True)
class Calibration:
    """What a network is quantised with."""

    graph: Path
    """The network as a float ONNX file that is ready to be quantised: constants and batch normalisations folded."""
    ranges: Ranges
    """Of the graph's activations."""
    images: Callable[[], Images]
    """Gives the images of the calibration, as the file is fed."""


class Calibrated(Value):
    """A calibration in files."""

    graph: File
    ranges: File
    """A document of `Ranges`."""
    unknown: tuple[str, ...] = ()
    """The learned ranges of layers that the graph doesn't have by these names: theirs are calibrated."""

    def layers(self) -> frozenset[str]:
        """The names of the weights of all layers that can compute in integers."""
        return frozenset(named(onnx_file.read(self.graph.path).graph))

    def read(self, images: Callable[[], Images]) -> Calibration:
        """The calibration; `images` gives those that it was made with."""
        return Calibration(self.graph.path, Ranges.model_validate_json(self.ranges.path.read_bytes()), images)


def calibrate(
    exported: Path,
    images: Callable[[], Images],
    folder: Path,
    learned: Mapping[str, tuple[float, float]] | None = None,
) -> Calibrated:
    """Calibrate a network.

    Args:
        exported: the network as an fp32 ONNX file.
        images: gives some training images, as the file is fed.
        folder: for the files; it is there.
        learned: ranges that replace those of the calibration, as `Network.ranges`.

    Raises:
        UnsupportedModelError: it can't be quantised, for whatever reason.
        StorageError: its external data is missing, the folder isn't writable or the disk is full.
    """
    graph, found = folder / f"{exported.stem}-float.onnx", folder / f"{exported.stem}-ranges.json"
    with refusing("it can't be calibrated"):
        _require_usable(exported)
        model = simplified(exported)
        require_scales_by_channel(model)
        # learned ranges are of the channels as they were in training
        model, ranges = chosen(model, images(), equalise=not learned)
        calibrated, unknown = with_learned(model.graph, ranges, learned or {})
        files.write_bytes(graph, model.SerializeToString())
    files.write_text(found, calibrated.model_dump_json(indent=1))
    return Calibrated(graph=_file(graph), ranges=_file(found), unknown=unknown)


def _require_usable(exported: Path) -> None:
    model = onnx_file.read(exported)
    onnx_file.external_files(model, exported)
    require_usable(model, exported)
    axes = model.graph.input[0].type.tensor_type.shape.dim
    if axes and axes[0].dim_value > 1:
        what = f"{exported}: takes {axes[0].dim_value} images at a time, and is calibrated one by one"
        raise UnsupportedModelError(what, "Export it with a batch of 1, or with an open batch axis.")


def _file(path: Path) -> File:
    return File(path=path, sha256=files.sha256(path))
