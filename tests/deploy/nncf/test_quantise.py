"""NNCF, in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import onnx
import pytest

from edgekd.deploy.nncf.quantise import quantise
from edgekd.errors import StorageError, UnsupportedModelError

needs_nncf = pytest.mark.skipif(importlib.util.find_spec("nncf") is None, reason="nncf isn't installed")
IMAGES = np.random.default_rng(0).standard_normal((8, 3, 8, 8), np.float32)

WATCHED = """
import json, socket, sys
tried = []
def refused(self, *address):
    tried.append(str(address))
    raise OSError("no network")
for name in ("connect", "connect_ex", "sendto", "sendmsg"):
    setattr(socket.socket, name, refused)
socket.getaddrinfo = socket.create_connection = lambda *given, **more: refused(None, given)
from pathlib import Path
from edgekd.deploy.nncf import worker
worker.quantise(*map(Path, sys.argv[1:]))
import threading
for thread in threading.enumerate():
    if thread is not threading.current_thread() and not thread.daemon:
        thread.join(10)
loaded = [name for name in ("openvino_telemetry", "torch") if sys.modules.get(name)]
print(json.dumps({"tried": tried, "loaded": loaded}))
"""


@needs_nncf
def test_quantising_sends_nothing_and_leaves_nothing_in_the_home_directory(model, tmp_path):
    home, images, made = tmp_path / "home", tmp_path / "images.npy", tmp_path / "int8.onnx"
    home.mkdir()
    np.save(images, IMAGES)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_CURRENT_TEST")}
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED, str(model(batch=1)), str(images), str(made)],
        env={**kept, "HOME": str(home), "USERPROFILE": str(home)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(ran.stdout.splitlines()[-1]) == {"tried": [], "loaded": []}
    assert made.is_file()
    assert list(home.iterdir()) == []


@needs_nncf
def test_layers_that_are_not_chosen_stay_in_floats(model, tmp_path):
    made = tmp_path / "int8.onnx"
    quantise(model(channels=32, layers=3, batch=1), IMAGES, made, layers={"w0", "w2"})
    graph = onnx.load(made).graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    assert kinds["w1"] == onnx.TensorProto.FLOAT
    assert sum(kind == onnx.TensorProto.INT8 and "w" in name for name, kind in kinds.items()) >= 2
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    assert [made_by.get(node.input[1], "a constant") for node in graph.node if node.op_type == "Conv"] == [
        "DequantizeLinear",
        "a constant",
        "DequantizeLinear",
    ]


@needs_nncf
def test_weights_are_stored_as_integers_with_a_scale_for_each_channel(model, tmp_path):
    graph = model(channels=32, batch=1)
    before = graph.read_bytes()
    quantise(graph, IMAGES, tmp_path / "int8.onnx")
    assert graph.read_bytes() == before
    made = onnx.load(tmp_path / "int8.onnx")
    held = {tensor.name: tensor for tensor in made.graph.initializer}
    producers = {output: node for node in made.graph.node for output in node.output}
    for node in made.graph.node:
        if node.op_type == "Conv":
            weight = producers[node.input[1]]
            assert weight.op_type == "DequantizeLinear"
            assert held[weight.input[0]].data_type == onnx.TensorProto.INT8
            assert tuple(held[weight.input[1]].dims) == (32,)
    assert made.ir_version == onnx.load(graph).ir_version
    assert (tmp_path / "int8.onnx").stat().st_size < len(before) / 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["int8.onnx", "model.onnx"]


@needs_nncf
def test_what_it_can_not_quantise_is_an_error_with_its_reason_and_leaves_no_file(model, tmp_path):
    graph = model(batch=1)
    with pytest.raises(UnsupportedModelError, match=r"^NNCF can't quantise it: \w+: .*Got: 7 Expected: 8"):
        quantise(graph, IMAGES[:, :, :7], tmp_path / "int8.onnx")
    assert not (tmp_path / "int8.onnx").exists()


@pytest.mark.parametrize(
    ("does", "timeout_s", "says"),
    [
        ("import time; time.sleep(60)", 1, "no answer within"),
        ("import os; os.abort()", 60, "ended with signal 6"),
    ],
)
def test_a_process_that_hangs_or_crashes_is_an_error(model, tmp_path, does, timeout_s, says):
    with pytest.raises(UnsupportedModelError, match=f"NNCF can't quantise it: .*{says}"):
        quantise(model(), IMAGES, tmp_path / "int8.onnx", command=[sys.executable, "-c", does], timeout_s=timeout_s)
    assert not (tmp_path / "int8.onnx").exists()


@needs_nncf
def test_a_folder_that_is_not_there_is_a_storage_error(model, tmp_path):
    with pytest.raises(StorageError):
        quantise(model(batch=1), IMAGES, tmp_path / "none" / "int8.onnx")


@needs_nncf
def test_activations_have_one_scale_each_which_covers_their_extremes(model, tmp_path):
    quantise(model(channels=32, batch=1), IMAGES, tmp_path / "int8.onnx")
    made = onnx.load(tmp_path / "int8.onnx")
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in made.graph.initializer}
    scales = {node.input[0]: held[node.input[1]] for node in made.graph.node if node.op_type == "QuantizeLinear"}
    assert {scale.size for scale in scales.values()} == {1}
    assert scales["image"] == pytest.approx(np.abs(IMAGES).max() / 127, rel=0.02)
