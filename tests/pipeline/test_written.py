"""What files are written, and what they state of how they were quantised."""

import importlib.util
from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from edgekd import files
from edgekd.deploy.feeding import stamp_like
from edgekd.measuring.artifact import describe
from edgekd.pipeline.written import Calibrating, Graph, Making, write_variants
from edgekd.progress import Silent
from edgekd.run import Run
from edgekd.store import Store
from edgekd.values import Lineage, Variant

COUNT = 6


@dataclass(frozen=True)
class Images:
    """Random ones."""

    def __call__(self):
        return np.random.default_rng(0).standard_normal((COUNT, 3, 8, 8)).astype("float32")


@pytest.fixture
def write(tmp_path, model):
    """Writes a small network in variants; returns the artifacts by variant, and the graph's."""

    def make(*variants, lineage=None, learned=None):
        path = model("net", layers=3, batch=1)
        if lineage:
            stamp_like(path, path, lineage)
        graph = Graph(exporter="", artifact=describe(path, name="net", runtime="", precision=""))
        store = Store(tmp_path / "run")
        making = Making(Calibrating(graph, Images(), learned or {}, {}), {}, {})
        named = [Variant(runtime=runtime, precision=precision) for runtime, precision in variants]
        found = write_variants(Run(store=store, shared=store, progress=Silent()), "net", making, named)
        assert found.dropped == ()
        return {(one.runtime, one.precision): one for one in found.artifacts}, graph.artifact

    return make


INT8 = ("onnxruntime", "int8"), ("tensorrt", "int8+fp32"), ("ncnn", "int8")


def test_a_quantised_file_states_how_it_was_quantised(write, tmp_path):
    found, graph = write(*INT8)
    (ranges,) = tmp_path.glob("run/**/net-ranges.json")
    for artifact in found.values():
        how = artifact.lineage.quantised
        assert (how.images, how.ranges, how.learned) == (COUNT, files.sha256(ranges), False)
        assert set(how.layers) <= {"w0", "w1", "w2"}
        assert how.layers
        assert artifact.lineage.onnx == graph.files[0].sha256
        if artifact.format == "onnx":
            assert describe(artifact.path, name="", runtime="").lineage == artifact.lineage


@pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf isn't installed")
def test_a_library_that_finds_its_own_ranges_is_named(write):
    """It takes seconds: NNCF runs in a process of its own."""
    found, _ = write(("openvino", "int8"))
    how = found["openvino", "int8"].lineage.quantised
    assert (how.method, how.ranges, how.images) == ("nncf", None, COUNT)
    assert how.layers == ("w0", "w1", "w2")


def test_learned_ranges_are_said(write):
    found, _ = write(("onnxruntime", "int8"), learned={"w1": (-3.0, 3.0)})
    assert found["onnxruntime", "int8"].lineage.quantised.learned


def test_what_the_graphs_file_states_is_kept(write):
    stated = Lineage(edgekd="0", exporter="dynamo")
    found, graph = write(*INT8, ("onnxruntime", "fp32"), ("tensorrt", "fp16"), lineage=stated)
    for artifact in found.values():
        assert artifact.lineage.model_copy(update={"quantised": None}) == stated == graph.lineage
    half = onnx.load(found["tensorrt", "fp16"].path)
    assert {entry.key for entry in half.metadata_props} == {"edgekd.lineage"}
    assert found["onnxruntime", "fp32"].files == graph.files
