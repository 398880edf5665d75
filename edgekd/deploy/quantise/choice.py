"""How a network is quantised: by what keeps most of its outputs on calibration images that were held out."""

from typing import Any

import numpy as np
import onnx

from edgekd.deploy.quantise.biases import corrections
from edgekd.deploy.quantise.clipping import METHODS, MIN_MAX, ranges_by_method
from edgekd.deploy.quantise.equalise import equalised
from edgekd.deploy.quantise.observe import observe
from edgekd.deploy.quantise.placement_onnxruntime import placement
from edgekd.deploy.quantise.ranges import Ranges, by
from edgekd.deploy.quantise.trial import Trial
from edgekd.errors import UnsupportedModelError

_Array = np.ndarray[Any, Any]

_FEW = 32
"""With as few images, as of networks whose latency alone counts, nothing is chosen: ranges are the extremes."""
_SAMPLES = 2**16
"""Values of each activation that methods look at."""
_HELD_OUT, _MOST_HELD_OUT = 8, 32
"""One image in so many is held out, and so many in all."""
_MARGIN_DB = 0.1
"""By which another method must be better than what clips nothing."""


def chosen(model: onnx.ModelProto, images: _Array, *, equalise: bool = True) -> tuple[onnx.ModelProto, Ranges]:
    """The ranges by the method whose INT8 keeps most of the outputs. Channels are equalised, and biases corrected,
    where that keeps more.

    Every eighth image is held out. A single method is for all activations: how well one of them is kept says little
    about what the network makes of it.

    Args:
        model: a float one that takes one image.
        images: (N, …) as it is fed.
        equalise: whether channels may be equalised.

    Returns:
        The model, which computes the same, and the ranges of its activations.

    Raises:
        UnsupportedModelError: there are no images, or an activation isn't finite.
    """
    _require(images)
    if len(images) <= _FEW or not placement(model.graph).weights:
        return model, _extremes(model, images)
    held_out = np.arange(len(images)) % _HELD_OUT == _HELD_OUT - 1
    held_out &= held_out.cumsum() <= _MOST_HELD_OUT
    trial, candidates, plain = Trial(model, images[held_out]), {}, model
    if equalise:
        model = _equalised(plain, images[~held_out][:_FEW], trial)
    observed = observe(model, images[~held_out], samples=_SAMPLES)
    by_tensor = {name: ranges_by_method(one) for name, one in observed.items()}
    methods = {method: {name: found[method] for name, found in by_tensor.items()} for method in METHODS}
    for method in METHODS:
        candidates[method] = by(method, methods, int((~held_out).sum()))
    sqnr = {method: trial.sqnr_db(model, ranges) for method, ranges in candidates.items()}
    best = max(METHODS, key=lambda method: sqnr[method] + (_MARGIN_DB if method == MIN_MAX else 0))
    found = candidates[best].model_copy(update={"sqnr_db": sqnr, "equalised": model is not plain})
    corrected = found.model_copy(update={"biases": corrections(model.graph, observed)})
    return model, corrected if trial.sqnr_db(model, corrected) > sqnr[best] else found


def _equalised(model: onnx.ModelProto, images: _Array, trial: Trial) -> onnx.ModelProto:
    """The model with its channels equalised, where its extremes over some images then keep more of the outputs."""
    other = equalised(model, observe(model, images, samples=0))
    if other is None:
        return model
    before, after = (trial.sqnr_db(one, _extremes(one, images)) for one in (model, other))
    return other if after > before + _MARGIN_DB else model


def _extremes(model: onnx.ModelProto, images: _Array) -> Ranges:
    observed = observe(model, images, samples=0)
    return by(MIN_MAX, {MIN_MAX: {name: (one.low, one.high) for name, one in observed.items()}}, len(images))


def _require(images: _Array) -> None:
    if not len(images):
        raise UnsupportedModelError("there are no calibration images", "Give some training images.")
    if len(odd := np.flatnonzero([not np.isfinite(image).all() for image in images])):
        raise UnsupportedModelError(f"calibration image {odd[0] + 1} has NaN or infinity", "Check the images.")
    if not images.any():
        raise UnsupportedModelError("all calibration images are 0", "Give real images: INT8 ranges follow from them.")
