import numpy as np
import onnx
import onnxruntime
import pytest

from edgekd.deploy.quantise.biases import corrections
from edgekd.deploy.quantise.observe import observe
from edgekd.deploy.quantise.placement_onnxruntime import placement
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.quantise.scales import SYMMETRIC, U8S8


def outputs(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"x": image[None]})[0] for image in images])


@pytest.mark.parametrize("scheme", [U8S8, SYMMETRIC])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_mean_of_each_channel_is_that_of_the_float_layer(chain, scheme, groups):
    random = np.random.default_rng(0)
    # one great weight a channel makes the others coarse
    weight = random.normal(size=(8, 4 // groups, 3, 3)) * 0.01
    weight[:, 0, 0, 0] = 1
    model = chain([("Conv", ["x", "w"], "y", {"group": groups})], {"w": weight})
    images = (3 + random.normal(size=(40, 4, 8, 8))).astype(np.float32)
    observed = observe(model, images, samples=0)
    plain = Ranges(images=40, method="min-max", tensors={name: (one.low, one.high) for name, one in observed.items()})
    corrected = plain.model_copy(update={"biases": corrections(model.graph, observed)})
    expected = outputs(model, images).mean((0, 2, 3))
    shifts = []
    for ranges in (plain, corrected):
        quantised = with_qdq(model, placement(model.graph), ranges, scheme)
        onnx.checker.check_model(quantised, full_check=True)
        shifts.append(np.abs(outputs(quantised, images).mean((0, 2, 3)) - expected).max())
    assert shifts[1] < 0.3 * shifts[0]


def test_a_weight_that_layers_share_has_no_correction(chain):
    nodes = [("Conv", ["x", "w"], "c", {}), ("Conv", ["c", "w"], "y", {})]
    model = chain(nodes, {"w": np.random.default_rng(0).normal(size=(4, 4, 3, 3))})
    assert corrections(model.graph, observe(model, np.ones((1, 4, 8, 8), np.float32), samples=0)) == {}
