"""How much each layer costs in INT8: the network's outputs with that layer alone in integers.

ONNX Runtime's `qdq_loss_debug` compares each activation with itself before its own rounding, or behind all earlier
ones; neither is what a single layer does to the outputs.
"""

from collections.abc import Mapping, Set

import numpy as np
import onnx

from edgekd import onnx_file
from edgekd.deploy.quantise import placement_onnxruntime, placement_tensorrt
from edgekd.deploy.quantise.calibration import Calibration
from edgekd.deploy.quantise.layers import named
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.scales import SYMMETRIC, U8S8
from edgekd.deploy.quantise.trial import Trial
from edgekd.deploy.refusal import refusing
from edgekd.values.rounding import Rounding

_IMAGES = 32


def sensitivity(calibration: Calibration, rounding: Rounding) -> Mapping[str, float]:
    """The signal to quantisation noise of the network's outputs in dB for each layer that INT8 computes, by the name of
    its weight; the layer that costs most comes first. Computed on some of the calibration's images, by this machine.

    Args:
        calibration: of the network.
        rounding: that of the files.

    Raises:
        UnsupportedModelError: a layer can't be quantised alone, for whatever reason.
    """
    with refusing("its layers can't be quantised one by one"):
        return _ranked(calibration, rounding)


def _ranked(calibration: Calibration, rounding: Rounding) -> Mapping[str, float]:
    model, images = onnx_file.read(calibration.graph), calibration.images()
    every = max(1, len(images) // _IMAGES)
    trial = Trial(model, np.ascontiguousarray(images[::every][:_IMAGES]))
    found = {}
    for layer in named(model.graph):
        quantised = _quantised(model, calibration.ranges, rounding, {layer})
        if quantised is not None:
            found[layer] = trial.of(quantised)
    return dict(sorted(found.items(), key=lambda one: one[1]))


def _quantised(model: onnx.ModelProto, ranges: Ranges, rounding: Rounding, layers: Set[str]) -> onnx.ModelProto | None:
    """The model with these layers in integers; None where the runtimes of that rounding compute none of them so."""
    module, scheme = (placement_tensorrt, SYMMETRIC) if rounding.symmetric else (placement_onnxruntime, U8S8)
    placed = module.placement(model.graph, layers)
    return with_qdq(model, placed, ranges, scheme) if placed.weights else None
