"""Learned ranges take the place of calibrated ones, by the weights of the layers."""

import numpy as np
import onnx

from edgekd.deploy.quantise.learned import with_learned
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.deploy.writers import onnxruntime, tensorrt
from edgekd.values.network import output_of

CALIBRATED = Ranges(
    images=1,
    method="min-max",
    tensors={"image": (-3.0, 3.0), "r0": (0.0, 8.0), "c1": (-9.0, 9.0)},
    biases={"w1": (1.0,) * 8},
)


def test_what_a_layer_reads_and_gives_is_found_by_its_weight(model):
    graph = onnx.load(model()).graph
    learned = {"w1": (0.0, 2.0), output_of("w1"): (-1.0, 4.0), "gone": (0.0, 1.0)}
    ranges, unknown = with_learned(graph, CALIBRATED, learned)
    assert ranges.tensors == {"image": (-3.0, 3.0), "r0": (0.0, 2.0), "c1": (-1.0, 4.0)}
    assert unknown == ("gone",)
    assert not ranges.biases  # they were trained with the weights' rounding
    assert with_learned(graph, CALIBRATED, {"gone": (0.0, 1.0)}) == (CALIBRATED, ("gone",))


def test_learned_ranges_are_the_scales_of_the_files(model, tmp_path, source_of):
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype("float32")
    source = source_of(model(batch=1), images, learned={"w1": (0.0, 2.55)})
    for writer, precision, scale in ((onnxruntime, "int8", 0.01), (tensorrt, "int8+fp32", 2.55 / 127)):
        graph = onnx.load(writer.write(source, precision, tmp_path / f"{precision}.onnx")).graph
        scales = [float(onnx.numpy_helper.to_array(t)) for t in graph.initializer if t.name == "r0_scale"]
        assert scales == [np.float32(scale)]
