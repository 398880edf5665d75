"""The runtime `tensorrt` in a device's own Python: surveyed, built, evaluated, as the host asks for it."""

from pathlib import Path

import fake_tensorrt
import numpy as np
import pytest
from test_tensorrt import IMAGE, expected, network

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.errors import DeviceError, UnsupportedModelError
from edgekd.measuring import session
from edgekd.measuring.artifact import describe
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol, Variant

JETSON = catalog.target("jetson")


@pytest.fixture(scope="module")
def python(tmp_path_factory, uncounted):
    if fake_tensorrt.COMPILER is None:
        pytest.skip("no C compiler: there is no fake CUDA runtime")
    folder = tmp_path_factory.mktemp("device") / "fake"
    return fake_tensorrt.device_python(folder, FAKE_TENSORRT_DLA_CORES="2", PYTHONPATH=str(uncounted))


@pytest.fixture
def device(python, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with connect(f"local:{python}", JETSON) as found:
        yield found


def artifact(path, precision="fp32", **settings):
    known = describe(path, name="net", runtime="tensorrt", precision=precision)
    return known.model_copy(update={"variant": Variant(runtime="tensorrt", precision=precision, settings=settings)})


def test_a_survey_reports_what_the_device_can(device):
    found = device.facts.runtimes["tensorrt"]
    assert (found.version, found.provider, found.builds) == ("10.3.0", "TensorRT", True)
    assert (found.compute_capability, found.dla_cores) == ("8.7", 2)
    assert found.precisions == ("fp32", "fp16", "int8+fp32", "int8+fp16")
    assert "onnxruntime" in device.facts.runtimes


def test_an_engine_is_built_there_once_and_gives_the_outputs(device, tmp_path):
    path = network(tmp_path / "net.onnx")
    engine = device.build(artifact(path))
    assert Path(engine.path).parents[1] == tmp_path / "cache" / "edgekd" / "engines"
    assert [file.name for file in Path(engine.path).parent.glob("timing-*")] == ["timing-10.3.0-8.7"]
    assert (engine.bytes, engine.build_how) == (
        Path(engine.path).stat().st_size,
        "tensorrt 10.3.0 in Python, strongly typed",
    )
    assert device.build(artifact(path)) == engine
    assert device.build(artifact(path, tf32=True)).path != engine.path
    (found,) = device.evaluate(artifact(path), [np.concatenate([IMAGE, 2 * IMAGE])])
    wanted = np.concatenate([expected(path), expected(path, 2 * IMAGE)])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


QUICK = MeasuringProtocol(launches=1, seconds=0.06, block_seconds=0.02, warmup_seconds=0.05)


def measured(device, path, **protocol):
    return session.measure(
        [artifact(path), artifact(path, tf32=True)],
        device=device,
        target=JETSON,
        protocol=QUICK.model_copy(update=protocol),
        progress=Silent(),
        traced=True,
        steady=False,
    )


def test_it_is_measured_with_what_its_engine_is_and_took(device, tmp_path):
    found, other = measured(device, network(tmp_path / "net.onnx"))
    assert (found.build_how, other.build_how) == (
        "tensorrt 10.3.0 in Python, strongly typed",
        f"{found.build_how}, TF32",
    )
    assert found.engine_bytes == Path(device.build(artifact(tmp_path / "net.onnx")).path).stat().st_size
    assert found.build_seconds > 0
    assert (found.runtime.version, found.runtime.provider) == ("10.3.0", "TensorRT")
    (launch,) = found.launches
    assert len(launch.accelerator_ms) == len(launch.blocks_ms)
    assert all(ms < max(block) for ms, block in zip(launch.accelerator_ms, launch.blocks_ms, strict=True))
    assert {node.name for node in found.trace.nodes} == {"conv0", "relu0", "conv1", "relu1"}
    again, _ = measured(device, tmp_path / "net.onnx", transfers="excluded")
    assert again.build_seconds == found.build_seconds
    assert again.protocol.transfers == "excluded"


def test_the_engine_is_built_for_the_batch_that_is_measured(device, tmp_path):
    found, _ = measured(device, network(tmp_path / "net.onnx", batch="N"), batch=3)
    assert (found.protocol.batch, found.invalid) == (3, ())


def test_transfers_cannot_be_left_out_where_there_are_none(tmp_path):
    path = network(tmp_path / "net.onnx")
    with connect("local:") as device, pytest.raises(UnsupportedModelError, match="CPUExecutionProvider has no") as e:
        session.measure(
            [describe(path, name="net", runtime="onnxruntime")],
            device=device,
            target=JETSON,
            protocol=QUICK.model_copy(update={"transfers": "excluded"}),
            progress=Silent(),
        )
    assert e.value.hint == "Leave --no-transfers out: there is nothing to exclude."


def test_what_cannot_be_built_is_reported_with_the_file(device, tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"net\.onnx: tensorrt can't build it: node 0 'conv0' \(Oddity\)"):
        device.build(artifact(network(tmp_path / "net.onnx", op="Oddity")))


def test_another_version_of_tensorrt_builds_another_engine(python, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path, built = network(tmp_path / "net.onnx"), {}
    for version in ("8.6.1", "11.4.0.106"):
        monkeypatch.setenv("FAKE_TENSORRT_VERSION", version)
        with connect(f"local:{python}", JETSON) as device:
            built[version] = device.build(artifact(path))
    assert len({engine.path for engine in built.values()}) == 2
    assert built["8.6.1"].build_how == "tensorrt 8.6.1 in Python, weakly typed"


def test_a_device_without_tensorrt_is_refused_with_what_to_install(tmp_path):
    with connect("local:", JETSON) as device:
        assert "tensorrt" not in device.facts.runtimes
        why = device.facts.unavailable["tensorrt"]
        assert why.startswith("this Python has no module tensorrt. On a Jetson: sudo apt")
        with pytest.raises(DeviceError, match="this Python has no module tensorrt") as e:
            device.build(artifact(network(tmp_path / "net.onnx")))
    assert "apt-get install python3-libnvinfer" in e.value.hint
