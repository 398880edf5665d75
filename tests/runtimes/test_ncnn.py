import importlib.util
import os

import numpy as np
import pytest

if importlib.util.find_spec("ncnn") is None:
    pytest.skip("ncnn isn't installed", allow_module_level=True)

from edgekd.deploy.writers import ncnn as writer
from edgekd.deploy.writers._base import Source
from edgekd.runtimes import ncnn as runtime

IMAGE = {"image": np.random.default_rng(0).standard_normal((1, 3, 8, 8)).astype(np.float32)}


@pytest.fixture
def files(model):
    """Writes ncnn's two files of a chain of convolutions; returns the .param file."""

    def write(precision="fp32", **shape):
        path = model(batch=1, **shape)
        return writer.write(Source(path), precision, path)

    return write


def test_outputs_stay_as_they_are_and_inputs_are_not_changed(files):
    session = runtime.open(str(files()))
    assert session.inputs() == [{"name": "image", "shape": [1, 3, 8, 8], "dtype": "float32"}]
    before = IMAGE["image"].copy()
    (first,) = session.run(IMAGE)
    kept = first.copy()
    (second,) = session.run({"image": 2 * IMAGE["image"]})
    assert first.shape == (1, 8, 8, 8)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(IMAGE["image"], before)
    assert not np.array_equal(first, second)


def test_an_array_of_another_layout_is_the_same_image(files):
    session = runtime.open(str(files(size=128)))
    image = np.random.default_rng(0).standard_normal((1, 3, 128, 128)).astype(np.float32)
    turned = np.ascontiguousarray(image.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert not turned.flags.c_contiguous
    np.testing.assert_array_equal(session.run({"image": turned})[0], session.run({"image": image})[0])


def test_each_layer_is_timed_and_the_outputs_are_those_of_a_session_without_trace(files, tmp_path):
    path = str(files(layers=3))
    traced = runtime.open(path, trace_in=str(tmp_path))
    for _ in range(23):  # an interrupted one may leave a layer of microseconds no time
        (found,) = traced.run(IMAGE)
    np.testing.assert_array_equal(found, runtime.open(path).run(IMAGE)[0])
    nodes = traced.nodes(3)
    assert [(node["name"], node["op"], node["kind"], node["precision"]) for node in nodes] == [
        (f"w{i}", "Convolution", "product", "fp32") for i in range(3)
    ]
    assert min(node["ms"] for node in nodes) > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_it_computes_in_so_many_threads_as_it_is_asked_to(files, threads):
    """In a process of its own: OpenMP keeps its threads."""
    import subprocess
    import sys

    code = f"""
import os, sys, runpy, numpy
module = runpy.run_path({runtime.__file__!r})
session = module["open"]({str(files(channels=32, size=32))!r}, threads={threads})
session.run({{"image": numpy.zeros((1, 3, 32, 32), "float32")}})
print(len(os.listdir("/proc/self/task")))
"""
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "8"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=alone)
    assert int(done.stdout) == threads


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: "", r"model\.param isn't one of ncnn's \.param files"),
        (lambda text: text[:-30], r"ncnn 1\S+ can't read model\.param"),
        (lambda text: "\n".join(text.split("\n")[:-2]), "or not a complete one"),
        (lambda text: text.replace("Convolution ", "Oddity "), r"ncnn 1\S+ has no layer Oddity \(w0\)"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_plain_words(files, change, says):
    path = files()
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=says) as e:
        runtime.open(str(path))
    assert "\n" not in str(e.value)


def test_weights_that_are_missing_or_cut_off_are_said(files):
    path = files()
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"model\.bin doesn't hold the weights of model\.param, or not all of them"):
        runtime.open(str(path))
    weights.unlink()
    with pytest.raises(ValueError, match=r"model\.bin, the weights, isn't beside the \.param file"):
        runtime.open(str(path))
    with pytest.raises(ValueError, match=r"missing\.param can't be read: No such file"):
        runtime.open(str(path.with_name("missing.param")))


def test_another_shape_and_another_precision_are_refused(files):
    path = str(files())
    with pytest.raises(ValueError, match=r"the input image takes the shape \[1, 3, 8, 8\], not \[2, 3, 8, 8\]"):
        runtime.open(path).run({"image": np.zeros((2, 3, 8, 8), np.float32)})
    with pytest.raises(ValueError, match="the precision bf16 is not supported; use fp32, fp16, int8"):
        runtime.open(path, precision="bf16")
