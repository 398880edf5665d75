"""Static INT8 for ONNX Runtime's CPU kernels: explicit Q/DQ, U8 activations, S8 weights per channel.

U8S8 is what its x86 kernels fuse into integer convolutions; S8S8 leaves many of them in float.
"""

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgekd.files import writing

Array = np.ndarray[Any, np.dtype[np.float32]]

precisions = ("fp32", "int8")


class _Images(CalibrationDataReader):  # type: ignore[misc]  # untyped base
    def __init__(self, name: str, images: Array) -> None:
        self._feeds = ({name: image[None]} for image in images)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._feeds, None)


def write_int8(fp32: Path, int8: Path, images: Array) -> None:
    """Write the INT8 twin of `fp32`, with activation ranges seen on `images` (N, C, H, W)."""
    name = onnx.load(fp32, load_external_data=False).graph.input[0].name
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder, writing(int8):
            inferred = Path(folder) / "inferred.onnx"
            quant_pre_process(fp32, inferred, skip_optimization=True, skip_symbolic_shape=True)
            quantize_static(
                inferred,
                int8,
                _Images(name, images),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                calibrate_method=CalibrationMethod.MinMax,
            )
    finally:
        logging.disable(level)
