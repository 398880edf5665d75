"""Files are tried without saturation of integers, whatever the CPU."""

import numpy as np
import pytest

from edgekd.deploy.quantise.observe import observe
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.trial import Trial

IMAGES = np.random.default_rng(1).normal(size=(8, 4, 8, 8)).astype("float32")


@pytest.mark.parametrize("second", ["w", "v"], ids=["two layers share a weight", "each layer has its own"])
def test_nothing_saturates(chain, second):
    random = np.random.default_rng(0)
    weights = {name: random.normal(size=(4, 4, 3, 3)) for name in "wv"}
    model = chain([("Conv", ["x", "w"], "c", {}), ("Relu", ["c"], "r", {}), ("Conv", ["r", second], "y", {})], weights)
    tensors = {name: (one.low, one.high) for name, one in observe(model, IMAGES, samples=0).items()}
    assert Trial(model, IMAGES).sqnr_db(model, Ranges(images=8, method="min-max", tensors=tensors)) > 35
