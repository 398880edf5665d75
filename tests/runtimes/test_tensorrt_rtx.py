"""The builder of the runtime `tensorrt` against a real module of NVIDIA's: TensorRT-RTX, whose Python interface is that
of TensorRT 11, and which parses and builds without a GPU. What it builds can't be run here, and isn't a Jetson's.
"""

import json
import subprocess
import sys

import pytest
from test_tensorrt import network

from edgekd.runtimes.tensorrt import OPERATORS

pytest.importorskip("tensorrt_rtx", reason="the extra trt-check (tensorrt-rtx) isn't installed")

BUILDS = """
import json, sys
from pathlib import Path
import tensorrt_rtx as trt
from edgekd.runtimes.tensorrt import _build
folder, jobs = Path(sys.argv[1]), json.loads(sys.argv[2])
found = {}
for name, wish in jobs.items():
    engine = folder / f"{name}.engine"
    shapes = lambda taken: {one["name"]: [2 if size is None else size for size in one["shape"]] for one in taken}
    wish = _build.Wish(**wish)
    try:
        how = _build.build(
            trt, str(folder / f"{name}.onnx"), str(engine), shapes, wish=wish, known_timings=folder / "timings"
        )
        found[name] = [how, engine.stat().st_size]
    except ValueError as e:
        found[name] = [str(e), 0]
print(json.dumps([found, _build.precisions(trt, trt.Builder(_build.logger(trt)))]))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """In a process of its own: it keeps the first logger that it gets, and may crash."""
    folder = tmp_path_factory.mktemp("rtx")
    network(folder / "fp32.onnx")
    network(folder / "fp16.onnx", half=True)
    network(folder / "lowered.onnx")
    network(folder / "int8.onnx", quantised=True)
    network(folder / "unquantised.onnx")
    network(folder / "open.onnx", batch="N")
    network(folder / "odd.onnx", op="Oddity")
    network(folder / "dla.onnx", half=True)
    (folder / "junk.onnx").write_bytes(b"junk")
    wishes = {
        "fp32": {"workspace_mb": 100},
        "fp16": {"precision": "fp16"},
        "lowered": {"precision": "fp16"},
        "int8": {"precision": "int8+fp32"},
        "unquantised": {"precision": "int8+fp32"},
        "dla": {"precision": "fp16", "dla_core": 0},
        **{name: {} for name in ("open", "odd", "junk", "missing")},
    }
    command = [sys.executable, "-c", BUILDS, str(folder), json.dumps(wishes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


def test_what_it_can_build_is_built(found):
    for name in ("fp32", "fp16", "int8", "open"):
        how, size = found[0][name]
        assert "in Python, strongly typed" in how
        assert size > 10_000
    assert found[0]["fp32"][0].endswith("workspace 100 MB")
    assert found[1] == ["fp32", "fp16", "int8+fp32", "int8+fp16"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("lowered", "in the types that a file states, and this one states no fp16: export it in fp16"),
        ("unquantised", "the file quantises nothing"),
        ("odd", "node 0 'conv0' (Oddity)"),
        ("junk", "Failed to parse the ONNX model"),
        ("missing", "Input file cannot be found"),
        ("dla", "DLA core 0 was asked for, and the device has none"),
    ],
)
def test_what_it_refuses_is_reported_in_one_line(found, name, why):
    told, size = found[0][name]
    assert why in told
    assert (size, "\n" in told, ".cpp" in told) == (0, False, False)


def test_the_parser_has_none_of_the_operators_that_are_refused_before_a_file_is_sent():
    asks = """
import json, sys
import tensorrt_rtx as trt
log = trt.Logger(trt.Logger.ERROR)
network = trt.Builder(log).create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
parser = trt.OnnxParser(network, log)
print(json.dumps([name for name in json.loads(sys.argv[1]) if parser.supports_operator(name)]))
"""
    names = ["Conv", *(name.rpartition(":")[2].partition("-")[0] for name in OPERATORS)]
    command = [sys.executable, "-c", asks, json.dumps(names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert json.loads(done.stdout.splitlines()[-1]) == ["Conv"]
