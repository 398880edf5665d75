import ctypes
import os
import sys
import tempfile
from functools import cache, partial
from itertools import count
from pathlib import Path

import hypothesis
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.values import Artifact, File, Host, Launch, Measurement, MeasuringProtocol, RuntimeInfo, Variant

LEASES = Path(tempfile.mkdtemp(prefix="edgekd-leases-"))
UNCOUNTED = """
import pathlib
glob = pathlib.Path.glob
pathlib.Path.glob = lambda self, pattern: iter(()) if pattern == "*/schedstat" else glob(self, pattern)
"""
_number = count()


def pytest_configure(config):
    """One core for each of xdist's workers: threads of two that train on the same cores wait for each other."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})
    os.environ["EDGEKD_LEASE"] = str(LEASES / "shared")  # for devices that fixtures share
    _keep_memory()
    # what a try takes, and making what is tried, depends on what else the machine does
    unhurried = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
    hypothesis.settings.register_profile("shared machine", **unhurried)
    hypothesis.settings.load_profile("shared machine")


def _keep_memory():
    """glibc takes each large activation anew from the system, which clears its pages: a fifth of a training's time on
    virtual machines. Only this process: what tests start, and measure, allocates as it does for users.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for parameter, value in (
            (-4, 0),
            (-1, 1_000_000_000),
            (-2, 64_000_000),
        ):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
            libc.mallopt(parameter, value)


def pytest_collection_modifyitems(items):
    """Files with slow tests first: each goes to one of xdist's workers, and at the end the others would wait for it."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def lease(monkeypatch):
    """The lease of this machine, for this test alone: none waits for another."""
    path = LEASES / str(next(_number))
    monkeypatch.setenv("EDGEKD_LEASE", str(path))
    return path


@pytest.fixture(scope="session")
def uncounted(tmp_path_factory):
    """A folder for PYTHONPATH, with which a system is one that doesn't count who waits for a CPU: what is measured
    beside other tests isn't invalid because they take it.
    """
    folder = tmp_path_factory.mktemp("uncounted")
    (folder / "sitecustomize.py").write_text(UNCOUNTED)
    return folder


@pytest.fixture
def undisturbed(uncounted, monkeypatch):
    """What this test measures on this machine isn't invalid because of others."""
    monkeypatch.setenv("PYTHONPATH", str(uncounted), prepend=os.pathsep)


@pytest.fixture(autouse=True)
def seed():
    """Every test draws the same random weights and images each time. Tests without PyTorch don't import it for this."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def model(tmp_path):
    """Writes ONNX files: a chain of convolutions with ReLU on an image of three channels."""

    def write(name="model", *, channels=8, layers=2, size=8, batch="N", axis=None, external=False) -> Path:
        random = np.random.default_rng(0)
        nodes, weights, tensor = [], [], "image"
        for i in range(layers):
            values = random.standard_normal((channels, channels if i else 3, 3, 3)).astype("float32") / 10
            weights.append(onnx.numpy_helper.from_array(values, f"w{i}"))
            nodes.append(helper.make_node("Conv", [tensor, f"w{i}"], [f"c{i}"], pads=[1, 1, 1, 1]))
            nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"]))
            tensor = f"r{i}"
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, axis or size, size])]
        outputs = [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)]
        graph = helper.make_graph(nodes, name, inputs, outputs, weights)
        return save(graph, tmp_path / f"{name}.onnx", external)

    return write


@pytest.fixture
def one_node(tmp_path):
    """Writes ONNX files of one node with the given inputs and no weights."""

    def write(name, op, inputs, *, domain="", **attributes) -> Path:
        node = helper.make_node(op, [value.name for value in inputs], ["y"], domain=domain, **attributes)
        kind = inputs[0].type.tensor_type.elem_type if inputs else TensorProto.FLOAT
        output = helper.make_tensor_value_info("y", kind, None)
        return save(helper.make_graph([node], name, inputs, [output]), tmp_path / f"{name}.onnx")

    return write


def save(graph, path, external=False):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("made.up", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    if external:
        onnx.save(proto, path, save_as_external_data=True, location=f"{path.stem}.data", size_threshold=0)
    else:
        onnx.save(proto, path)
    return path


@pytest.fixture(scope="session")
def operators_read_once():
    """PyTorch's exporter reads its library of operators once, not for each file: a third of the time of small ones."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def own_cache(tmp_path_factory, operators_read_once):
    """Teachers are trained once for all tests that use it, on one thread, and never found from elsewhere."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_CACHE", str(tmp_path_factory.mktemp("cache")))
        torch.set_num_threads(1)
        yield


@pytest.fixture(scope="session")
def simulated():
    """Makes simulated devices; their latencies are in proportion to a file's weights if nothing else is said."""

    def make(latency_ms=None, *, int8=1.2, **more):
        from simulated import SimulatedDevice, by_weights

        return SimulatedDevice(latency_ms or partial(by_weights, int8=int8), **more)

    return make


@pytest.fixture(scope="session")
def runner_of():
    """Runs files over images on this machine, through a real agent."""
    from edgekd.deploy.outputs import Runner
    from edgekd.devices.device import connect
    from edgekd.measuring.artifact import describe

    with connect("local:") as device:

        def make(path, runtime, feeding=None, **settings):
            artifact = describe(path, name=path.stem, runtime=runtime)
            variant = artifact.variant.model_copy(update={"settings": settings})
            return Runner(device, artifact.model_copy(update={"variant": variant}), feeding)

        yield make


@pytest.fixture
def source_of(tmp_path_factory):
    """Makes what writers write: an exported file, calibrated on images where there are some."""
    from edgekd.deploy.quantise.calibration import calibrate
    from edgekd.deploy.writers._base import Source

    def make(exported, images=None, learned=None, **more):
        if images is None:
            return Source(exported, **more)
        calibrated = calibrate(exported, lambda: images, tmp_path_factory.mktemp("calibration"), learned)
        return Source(exported, calibrated.read(lambda: images), **more)

    return make


@pytest.fixture
def measurement():
    """Makes measurements of given samples: a list of launches, each a list of blocks."""

    def make(launches=(((1.0,) * 20,) * 4,) * 5, *, load_ms=20.0, first_ms=3.0, peak_bytes=5_000_000, **changes):
        fields = {
            "session": "one",
            "artifact": Artifact(
                name="net",
                variant=Variant(runtime="onnxruntime", precision="fp32"),
                files=(File(path=Path("net.onnx"), sha256="0" * 64),),
                disk_bytes=1_000_000,
                transfer_bytes=900_000,
            ),
            "device": "local:",
            "target": "x86-cpu",
            "on_target": True,
            "protocol": MeasuringProtocol(),
            "host": Host(
                machine="abc",
                arch="x86_64",
                os="linux",
                cpu="some",
                cores=2,
                governor="performance",
                python="3.11.7",
                power_mode="15W",
                clocks_locked=True,
            ),
            "runtime": RuntimeInfo(
                name="onnxruntime",
                version="1.31.1",
                provider="CPUExecutionProvider",
                settings={"threads": 1, "spinning": True, "provider": None, "provider_options": {}},
            ),
            "launches": tuple(
                Launch(load_ms=load_ms, first_ms=first_ms, peak_bytes=peak_bytes, blocks_ms=tuple(map(tuple, blocks)))
                for blocks in launches
            ),
        }
        return Measurement(**fields | changes)

    return make


@pytest.fixture(scope="session")
def sshd(tmp_path_factory):
    """A real ssh server with a device behind it; see tests/devices/sshd.py."""
    from sshd import serving

    with serving(tmp_path_factory.mktemp("sshd")) as server:
        yield server
