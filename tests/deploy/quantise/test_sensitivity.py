"""The layer that INT8 costs most is found, by what it does to the outputs alone."""

import numpy as np
import onnx
import pytest

from edgekd.deploy.quantise.sensitivity import sensitivity
from edgekd.values.rounding import Rounding

IMAGES = np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype("float32")


@pytest.fixture
def uneven(model):
    """Five convolutions. What the third reads in its first channel is small, its weights for it are large, as where
    channels aren't equalised: other weights share their scale, and other channels share its range."""
    path = model(layers=5, batch=1)
    proto = onnx.load(path)
    for tensor in proto.graph.initializer:
        if tensor.name in ("w1", "w2"):
            values = onnx.numpy_helper.to_array(tensor).copy()
            if tensor.name == "w1":
                values[0] /= 100
            else:
                values[:, 0] *= 100
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(proto, path)
    return path


@pytest.mark.parametrize("rounding", [Rounding(), Rounding(symmetric=True, additions="skip")])
def test_the_layer_that_costs_most_comes_first(uneven, source_of, rounding):
    as_trained = {"w0": (-5.0, 5.0)}  # with ranges of a training, channels are not equalised
    found = sensitivity(source_of(uneven, IMAGES, learned=as_trained).calibrated, rounding)
    assert next(iter(found)) == "w2"
    assert {*found} == {"w0", "w1", "w2", "w3", "w4"}
    assert list(found.values()) == sorted(found.values())
    assert found["w2"] < min(db for layer, db in found.items() if layer not in ("w1", "w2")) - 10
