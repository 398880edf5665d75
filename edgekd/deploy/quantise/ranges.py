"""The ranges of a float model's activations over calibration images."""

import contextlib
import io
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator

from edgekd.errors import UnsupportedModelError
from edgekd.values import PositiveInt, Value


class Ranges(Value):
    """The ranges of a graph's activations over calibration images."""

    images: PositiveInt
    tensors: dict[str, tuple[float, float]]
    """The least and the greatest value of each, by its name in the graph."""

    def magnitude(self, name: str) -> float:
        """The greatest magnitude of a tensor."""
        return max(map(abs, self.tensors[name]))


class _Feeds(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    """Gives images one by one, as the input of that name."""

    def __init__(self, name: str, images: Iterable[Any]) -> None:
        self._feeds = ({name: image[None]} for image in images)

    def get_next(self) -> dict[str, Any] | None:
        """The next feed; None after the last."""
        return next(self._feeds, None)


def ranges(model: onnx.ModelProto, images: Any) -> Ranges:
    """The ranges of the graph's activations.

    Args:
        model: takes one image at a time, as its only input.
        images: an array (N, …) as the model is fed.

    Raises:
        UnsupportedModelError: one is NaN or infinite.
        Exception: whatever ONNX Runtime raises for a model that it can't run.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "float.onnx"
        onnx.save(model, path)
        calibrator = create_calibrator(
            path,
            sorted({node.op_type for node in model.graph.node}),
            augmented_model_path=str(path.with_name("augmented.onnx")),
            calibrate_method=CalibrationMethod.MinMax,
        )
        calibrator.collect_data(_Feeds(model.graph.input[0].name, images))
        found = calibrator.compute_data()
    limits: dict[str, tuple[float, float]] = {}
    for name in found.keys():  # noqa: SIM118 - its items are wrapped
        low, high = (np.asarray(bound).item() for bound in found[name].range_value)
        limits[name] = float(low), float(high)
    if odd := [name for name, between in limits.items() if not np.isfinite(between).all()]:
        raise UnsupportedModelError(f"{odd[0]} is NaN or infinity on calibration images", "Check the weights.")
    return Ranges(images=len(images), tensors=limits)
