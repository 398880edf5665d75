import ast
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import inputs
import numpy as np
import onnxruntime
import psutil
import pytest
from onnx import TensorProto, helper

from edgekd.devices.agent.protocol import Feeds, Opening, Runtime
from edgekd.devices.client import Agent
from edgekd.devices.shipped import AGENT, runtime_file
from edgekd.errors import MeasurementError
from edgekd.files import sha256
from edgekd.worker import Worker, WorkerError

FIXED = """
import numpy
formats = ()
builds = False
def describe():
    return {"version": "1", "provider": "none"}
class open:
    def __init__(self, path):
        pass
    def inputs(self):
        return [{"name": "x", "shape": [1, 2], "dtype": "float32"}]
    def run(self, feeds):
        return [feeds["x"]]
"""

PRINTS = """
import os, time
formats = ("any",)
builds = False
def describe():
    os.write(1, b"a native library says hello\\n")
    print("and so does Python")
    return {"version": "1", "provider": "none"}
class open:
    provider = "none"
    def __init__(self, path, *, threads, spinning):
        self.count, self.path = 0, path
    def inputs(self):
        return []
    def run(self, feeds):
        os.write(1, b"noise\\n")
        self.count += 1
        time.sleep(0.05 if self.count == 1 else 0.002)
"""

COUNTED = """def run(self, feeds):
        with __builtins__["open"](self.path, "a") as file:
            file.write(".")"""


OPTIONS = {"threads": 1, "spinning": True}


def started(runtime=None, folder=AGENT):
    """An agent with a runtime, the one of ONNX if none is given."""
    agent = Agent(
        Worker([sys.executable, str(folder), "--runtime", str(runtime or runtime_file("onnxruntime"))]), "here"
    )
    agent.describe(60)
    return agent


@pytest.fixture
def agent():
    with started() as agent:
        yield agent


def load(agent, path, **feeds):
    return agent.load(Opening(str(path), OPTIONS, Feeds(**feeds)))


def warmup(agent, max_s, window_ms=1, period_s=None):
    return agent.warmup(window_ms, max_s, period_s, first_ms=0)


def block(agent, seconds, period_s=None):
    return agent.block(seconds, period_s, latency_ms=0).samples_ms


def test_it_describes_the_device(agent):
    described = agent.describe()
    host = described.host
    assert host.arch in ("x86_64", "aarch64")
    assert host.os == "linux"
    assert host.cores >= 1
    assert host.memory_bytes > 10**8
    assert host.python == ".".join(map(str, sys.version_info[:3]))
    assert described.runtime == Runtime(onnxruntime.__version__, "CPUExecutionProvider")


def test_it_knows_which_paths_exist(agent, tmp_path):
    assert agent.exists(str(tmp_path))
    assert not agent.exists(str(tmp_path / "no"))


def test_one_launch_from_loading_to_the_end(agent, model):
    loaded = load(agent, model(), batch=2)
    assert loaded.inputs == {"image": (2, 3, 8, 8)}
    assert loaded.load_ms > 0
    assert agent.first().first_ms > 0
    assert len(warmup(agent, 0.2, window_ms=5).samples_ms) >= 2
    samples = block(agent, 0.1)
    # they fill the block: little is lost between them, though a busy machine may take some
    assert 40 < sum(samples) < 100 + max(samples)
    assert min(samples) > 0
    assert 0 < agent.finish().peak_bytes < 200_000_000


def test_it_says_the_hash_of_what_it_reads(agent, model):
    path = model()
    opening, right, wrong = Opening(str(path), OPTIONS), {str(path): sha256(path)}, {str(path): "0" * 64}
    assert agent.load(opening, right).sha256 == agent.trace(opening, 0.01, right).sha256 == (sha256(path),)
    for ask in (lambda: agent.load(opening, wrong), lambda: agent.trace(opening, 0.01, wrong)):
        with pytest.raises(MeasurementError, match="another content there than was sent"):
            ask()


def test_peak_memory_is_what_loading_and_running_add(agent, tmp_path):
    import onnx

    values = np.ones((3_000_000, 1), np.float32)  # 12 MB
    node = helper.make_node("MatMul", ["w", "x"], ["y"])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "large", [x], [y], [onnx.numpy_helper.from_array(values, "w")])
    path = tmp_path / "large.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    load(agent, path)
    agent.first()
    # the weights and an output as large, perhaps with a copy of the file while it is parsed
    assert 24_000_000 <= agent.finish().peak_bytes < 90_000_000


@pytest.mark.parametrize(
    ("provider", "more", "known"),
    [
        ("none", "", True),
        ("none", "    def compute(self):\n        pass\n", False),
        ("CUDAExecutionProvider", "", False),
    ],
)
def test_memory_of_an_accelerator_is_not_taken_for_the_process_s(tmp_path, provider, more, known):
    runtime = tmp_path / "runtime.py"
    runtime.write_text(f"{FIXED}    provider = {provider!r}\n{more}")
    with Agent(Worker([sys.executable, str(AGENT), "--runtime", str(runtime)]), "here") as agent:
        agent.describe(60)
        agent.load(Opening("x"))
        agent.first()
        assert (agent.finish().peak_bytes is not None) == known


def test_memory_used_before_loading_does_not_count():
    code = """
import system
bytearray(b"x" * 150_000_000)
mark = system.mark_memory()
kept = bytearray(b"x") * 20_000_000
print(system.peak_bytes(mark))
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=AGENT, capture_output=True, text=True, check=True)
    assert 19_000_000 < int(found.stdout) < 60_000_000


@pytest.mark.parametrize(("block_s", "untimed"), [(0.01, 0), (0.4, 1)])
def test_a_turn_begins_untimed_unless_inferences_are_too_long_for_it(tmp_path, block_s, untimed):
    runtime = tmp_path / "sleeps.py"
    counting = PRINTS.replace("0.05 if self.count == 1 else 0.002", "0.06").replace("def run(self, feeds):", COUNTED)
    runtime.write_text(counting)
    with started(runtime) as agent:
        load(agent, str(tmp_path / "runs"))
        assert warmup(agent, 0).latency_ms >= 50
        before = len((tmp_path / "runs").read_text())
        samples = block(agent, block_s)
        assert len((tmp_path / "runs").read_text()) - before == len(samples) + untimed


@pytest.mark.parametrize("blocks", [0, 1])
def test_when_a_turn_has_ended_no_thread_spins_in_the_way_of_the_next(agent, model, blocks):
    """ONNX Runtime's threads wait for more work actively, for some 40 ms."""
    agent.load(Opening(str(model(channels=32, layers=8, size=32)), {"threads": 2, "spinning": True}, Feeds(batch=1)))
    warmup(agent, 0.1, window_ms=20)
    for _ in range(blocks):
        block(agent, 0.05)
    process = psutil.Process(agent.process.pid)
    before = process.cpu_times()
    time.sleep(0.1)
    after = process.cpu_times()
    assert after.user + after.system - before.user - before.system < 0.025  # in hundredths


def test_warm_up_ends_at_the_time_limit_or_when_windows_agree(tmp_path):
    runtime = tmp_path / "sleeps.py"
    runtime.write_text(
        PRINTS.replace("time.sleep(0.05 if self.count == 1 else 0.002)", "time.sleep(0.002 * 2**self.count)")
    )
    with started(runtime) as agent:
        load(agent, "any")
        samples = warmup(agent, 0.1).samples_ms
    # each run takes twice as long as the last: it never settles
    assert sum(samples) >= 100
    assert sum(samples[:-1]) < 100
    runtime.write_text(PRINTS.replace("0.05 if self.count == 1 else 0.002", "0.1"))
    with started(runtime) as agent:
        load(agent, "any")
        samples = warmup(agent, 20).samples_ms
    assert len(samples) >= 2
    assert sum(samples) < 15_000  # it has not gone on to the limit


def test_what_a_native_library_prints_does_not_garble_the_answers(tmp_path):
    runtime = tmp_path / "prints.py"
    runtime.write_text(PRINTS)
    with started(runtime) as agent:
        assert agent.describe().runtime.version == "1"
        load(agent, "any")
        assert agent.first().first_ms >= 50


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({"do": "dance"}, "'dance'"),
        ({"do": "exists"}, "path is missing"),
        ({"do": "exists", "path": 7}, "path is 7, not a string"),
        ({"do": "exists", "path": "/", "at": "once"}, "at is not a field of Exists"),
        ({"to": "describe"}, "'do' must be one of describe, survey"),
        (["describe"], "not a request"),
    ],
)
def test_a_wrong_request_is_answered_and_the_agent_lives(agent, request_, says):
    with pytest.raises(WorkerError, match=says) as e:
        agent.process.ask(request_, 60)
    assert e.value.kind == "error"
    assert agent.exists("/")


def test_free_axes_beyond_the_first_and_texts_are_reported(agent, model, one_node):
    with pytest.raises(WorkerError, match=r"no fixed size: axis 2 \(height\) of input 'image'"):
        load(agent, model(axis="height"))
    text = helper.make_tensor_value_info("words", TensorProto.STRING, [2])
    with pytest.raises(WorkerError, match="input 'words' has type string"):
        load(agent, one_node("text", "Identity", [text]))


def test_a_window_of_a_paced_warm_up_may_be_shorter_than_the_period(tmp_path):
    runtime = tmp_path / "runtime.py"
    runtime.write_text(PRINTS)
    with started(runtime) as agent:
        load(agent, "x")
        assert len(warmup(agent, 0.2, window_ms=1, period_s=0.05).samples_ms) >= 3


def test_a_paced_loop_starts_as_often_as_asked_and_counts_waiting_in_a_queue(tmp_path):
    runtime = tmp_path / "sleeps.py"
    runtime.write_text(PRINTS.replace("0.05 if self.count == 1 else 0.002", "0.004"))
    with started(runtime) as agent:
        load(agent, "any")
        warmup(agent, 0, period_s=0.02)
        paced = block(agent, 0.3, 0.02)
        closed = block(agent, 0.3)
        late = block(agent, 0.1, 0.001)
    assert 10 <= len(paced) <= 17
    assert sum(closed) > 0.9 * 300  # one right after the other fills the block
    assert sorted(paced)[len(paced) // 2] < 15  # the pause isn't counted
    # each waits for all before it, 3 ms longer than the last one did
    assert list(late) == sorted(late)
    assert late[-1] > 40


def test_affinity_holds_for_the_process_and_unknown_cpus_are_reported(agent, model):
    import os

    path, first = str(model()), min(os.sched_getaffinity(0))
    agent.load(Opening(path, OPTIONS, affinity=(first,)))
    assert os.sched_getaffinity(agent.process.pid) == {first}
    with pytest.raises(WorkerError, match=r"can't run on CPUs \[9999\]"):
        agent.load(Opening(path, OPTIONS, affinity=(9999,)))


def test_every_node_is_timed_where_it_ran(agent, model):
    trace = agent.trace(Opening(str(model(layers=3)), OPTIONS), seconds=0.1)
    assert trace.inferences >= 1
    assert {node.provider for node in trace.nodes} == {"CPUExecutionProvider"}
    assert sum("Conv" in node.op for node in trace.nodes) == 3
    assert sum(node.ms for node in trace.nodes) > 0


def test_a_trace_that_the_host_leaves_keeps_no_folder(model, tmp_path, monkeypatch):
    path, folder = str(model()), tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    agent = started()
    with ThreadPoolExecutor(1) as pool:
        traced = pool.submit(agent.trace, Opening(path, OPTIONS), seconds=60)
        while not any(folder.iterdir()) and not traced.done():
            time.sleep(0.01)
        agent.close()
        assert isinstance(traced.exception(), WorkerError)
    assert not any(folder.iterdir())


@pytest.mark.parametrize(
    ("shapes", "says"),
    [
        ({"image": [2, 3, 9, 8]}, None),
        ({"": [2, 3, 9, 8]}, None),
        ({"image": [2, 4, 9, 8]}, "'image' has shape Nx3xheightx8, which 2x4x9x8 doesn't match"),
        ({"image": [2, 3]}, "doesn't match"),
        ({"picture": [1]}, r"has no input 'picture'; its inputs are 'image' \(float32 Nx3xheightx8\)"),
        ({}, r"no fixed size: axis 2 \(height\) of input 'image'"),
    ],
)
def test_open_axes_are_given(agent, model, shapes, says):
    path = model(axis="height")
    if says is None:
        assert load(agent, path, shapes=shapes).inputs == {"image": (2, 3, 9, 8)}
    else:
        with pytest.raises(WorkerError, match=says):
            load(agent, path, shapes=shapes)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"image": np.ones((2, 3, 8, 8))}, None),
        (
            {"image": np.ones((2, 3, 8, 8), np.int64)},
            r"'image' has type int64, but the model's input is 'image' \(float32 Nx3x8x8\)",
        ),
        (
            {"image": np.ones((2, 3, 8))},
            r"'image' has shape 2x3x8, but the model's input is 'image' \(float32 Nx3x8x8\)",
        ),
        ({"picture": np.ones(1)}, r"has 'picture', but the model's inputs are 'image' \(float32"),
        ({"image": np.full((2, 3, 8, 8), None, dtype=object)}, "'image' has type object, but"),
    ],
)
def test_a_file_feeds_the_model(agent, model, tmp_path, arrays, says):
    np.savez(tmp_path / "inputs.npz", **arrays)
    path = str(tmp_path / "inputs.npz")
    if says is None:
        assert load(agent, model(), file=path).inputs == {"image": (2, 3, 8, 8)}
    else:
        with pytest.raises(WorkerError, match=says):
            load(agent, model(), file=path)


def test_a_damaged_or_pickled_file_feeds_nothing(agent, model, tmp_path):
    (tmp_path / "no.npz").write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(WorkerError, match=r"no\.npz: can't be read"):
        load(agent, model(), file=str(tmp_path / "no.npz"))


def test_texts_and_no_inputs_at_all_run(agent, one_node, tmp_path):
    words = helper.make_tensor_value_info("words", TensorProto.STRING, [2])
    np.savez(tmp_path / "words.npz", words=np.array(["a", "bc"]))
    load(agent, one_node("text", "Identity", [words]), file=str(tmp_path / "words.npz"))
    assert agent.first().first_ms >= 0
    constant = one_node("constant", "Constant", [], value_float=1.0)
    assert load(agent, constant).inputs == {}
    assert agent.first().first_ms >= 0


def test_inputs_fit_the_model_and_are_the_same_for_the_same_seed():
    wanted = [
        {"name": "image", "shape": [None, 3, 4], "dtype": "float16"},
        {"name": "mask", "shape": [5], "dtype": "bool"},
        {"name": "ids", "shape": [64], "dtype": "int64"},
        {"name": "none", "shape": [0, 2], "dtype": "float32"},
        {"name": "scalar", "shape": [], "dtype": "float32"},
        {"name": "pixels", "shape": [1, 32, 32, 3], "dtype": "uint8"},
    ]
    feeds = inputs.random_feeds(wanted, batch=2, seed=3)
    assert {name: (str(v.dtype), v.shape) for name, v in feeds.items()} == {
        "image": ("float16", (2, 3, 4)),
        "mask": ("bool", (5,)),
        "ids": ("int64", (64,)),
        "none": ("float32", (0, 2)),
        "scalar": ("float32", ()),
        "pixels": ("uint8", (1, 32, 32, 3)),
    }
    assert (feeds["pixels"].min(), feeds["pixels"].max()) == (0, 255)
    assert set(feeds["ids"]) == {0, 1}
    again, other = (inputs.random_feeds(wanted, batch=2, seed=seed) for seed in (3, 4))
    assert (feeds["image"] == again["image"]).all()
    assert (feeds["image"] != other["image"]).any()


def test_it_stands_alone(tmp_path, model):
    """The folder and one runtime, copied elsewhere, are all that a device needs beside the runtime's own package."""
    for file in AGENT.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for module in modules:
                known = {*sys.stdlib_module_names, *(own.stem for own in AGENT.glob("*.py")), "numpy"}
                assert module == "edgekd.devices.agent" or module.partition(".")[0] in known, (file, module)
    there = tmp_path / "there"
    shutil.copytree(AGENT, there / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    runtime = shutil.copy(runtime_file("onnxruntime"), there)
    with started(runtime, there / "agent") as agent:
        assert load(agent, Path(model())).load_ms > 0
