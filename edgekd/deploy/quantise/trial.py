"""What quantisation costs a network: its outputs in INT8 against those in floats, on held-out images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from edgekd.deploy.quantise.placement_onnxruntime import placement
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.scales import U8S8
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS

_Array = np.ndarray[Any, Any]
_CPU = "CPUExecutionProvider"
_MOST_DB = 200.0


class Trial:
    """A network's outputs in floats over images, against which ways to quantise it are compared."""

    def __init__(self, model: onnx.ModelProto, images: _Array) -> None:
        self._images, self._expected = images, _outputs(model, images)

    def sqnr_db(self, model: onnx.ModelProto, ranges: Ranges) -> float:
        """The signal to quantisation noise of a network's outputs in U8S8, of the worst where there are several.

        Args:
            model: computes what that of the trial does.
            ranges: of its activations.
        """
        return self.of(with_qdq(model, placement(model.graph), ranges, U8S8))

    def of(self, quantised: onnx.ModelProto) -> float:
        """The same of a model that is quantised already."""
        return min(map(_sqnr_db, self._expected, _outputs(quantised, self._images)))


def _outputs(model: onnx.ModelProto, images: _Array) -> Sequence[_Array]:
    session = _session(model)
    name = session.get_inputs()[0].name
    found = [session.run(None, {name: image[None]}) for image in images]
    return [np.stack(values) for values in zip(*found, strict=True)]


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """Without saturation of integers: what is found out here decides for the files of all runtimes and devices."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry(*EXACT_INTEGERS)
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[_CPU])
    except Fail:  # where two layers share a weight, on x86 without VNNI; without fused kernels nothing saturates either
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[_CPU])


def _sqnr_db(expected: _Array, given: _Array) -> float:
    signal = float(np.mean(expected.astype(np.float64) ** 2))
    noise = float(np.mean((given.astype(np.float64) - expected) ** 2))
    if not np.isfinite(noise):
        return -_MOST_DB
    return min(_MOST_DB, 10 * float(np.log10(max(signal, 1e-30) / max(noise, 1e-30))))
