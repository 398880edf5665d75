"""Building by trtexec, on a fake that has the flags of a version and builds by the fake module."""

import os
import shlex
import signal
import subprocess
import sys
import time

import fake_tensorrt
import numpy as np
import psutil
import pytest
from test_tensorrt import IMAGE, expected, flags, network, not_asked

from edgekd.runtimes.tensorrt import _library, _trtexec

COMMON = "--onnx --saveEngine --timingCacheFile --profilingVerbosity --exportLayerInfo --noTF32 --memPoolSize"
COMMON += " --useDLACore --allowGPUFallback"
VERSIONS = {
    "8.5.2": ("8502", "8.6.1", f"{COMMON} --buildOnly --fp16 --int8"),
    "8.6.2": ("8602", "8.6.1", f"{COMMON} --skipInference --fp16 --int8"),
    "10.3.0": ("100300", "10.3.0", f"{COMMON} --skipInference --fp16 --int8 --stronglyTyped"),
    "11.4.0": ("110400", "11.4.0.106", f"{COMMON} --skipInference"),
}

TRTEXEC = """#!{python}
import json, sys, time
sys.path.insert(0, {modules!r})
print("&&&& RUNNING TensorRT.trtexec [TensorRT v{number}] # trtexec")
given = dict((flag + "=").split("=")[:2] for flag in sys.argv[1:])
if "--help" in given:
    print({known!r})
    sys.exit()
if "slow" in given["--onnx"]:
    open(given["--onnx"], "w").close()
    time.sleep(60)
assert set(given) <= set({known!r}.split()), given
import tensorrt as trt
class Log(trt.ILogger):
    def log(self, severity, message):
        print("[11/29/2026-05:00:00] [E] " + message)
log = Log()
builder = trt.Builder(log)
named = trt.NetworkDefinitionCreationFlag.__members__
typed = "--stronglyTyped" in given or "EXPLICIT_BATCH" not in named
wanted = ["EXPLICIT_BATCH", *(["STRONGLY_TYPED"] if typed else [])]
network = builder.create_network(sum(1 << int(named[name]) for name in wanted if name in named))
if not trt.OnnxParser(network, log).parse_from_file(given["--onnx"]):
    print("[11/29/2026-05:00:00] [E] [TRT] ModelImporter.cpp:949: No importer registered for op: Oddity")
    print("&&&& FAILED TensorRT.trtexec")
    sys.exit(1)
config = builder.create_builder_config()
for flag in ("FP16", "INT8"):
    if "--" + flag.lower() in given:
        config.set_flag(trt.BuilderFlag.__members__[flag])
if "--noTF32" in given:
    config.clear_flag(trt.BuilderFlag.TF32)
for i in range(network.num_inputs):
    if -1 in network.get_input(i).shape:
        print("[W] Dynamic dimensions required for input: image. Automatically overriding shape to: 1x3x16x16")
        profile = builder.create_optimization_profile()
        profile.set_shape(network.get_input(i).name, *[(1, 3, 16, 16)] * 3)
        config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)
open(given["--saveEngine"], "wb").write(plan)
kinds = [network.get_layer(i).get_output(0).dtype.name for i in range(network.num_layers)]
half = "--fp16" in given or "HALF" in kinds
open(given["--exportLayerInfo"], "w").write(json.dumps({{"Layers": [{{"Datatype": "Half" if half else "Float"}}]}}))
open(given["--timingCacheFile"], "w").write("timings")
print("&&&& PASSED TensorRT.trtexec")
"""


@pytest.fixture
def runtime_of(tensorrt_of, tmp_path, monkeypatch):
    """The runtime whose module has no builder, with a trtexec of a version on the PATH."""

    def make(version="10.3.0"):
        number, fake, known = VERSIONS[version]
        runtime = tensorrt_of(fake)
        import tensorrt

        monkeypatch.delattr(tensorrt, "Builder")
        tool = tmp_path / "bin" / "trtexec"
        tool.parent.mkdir(exist_ok=True)
        modules = str(fake_tensorrt.MODULES)
        tool.write_text(TRTEXEC.format(python=sys.executable, number=number, known=known, modules=modules))
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
        return runtime

    return make


def built(runtime, path, **settings):
    engine = path.with_suffix(".engine")
    return engine, runtime.build(str(path), str(engine), not_asked, **settings)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_builds_what_python_runs(runtime_of, version, tmp_path):
    runtime, path = runtime_of(version), network(tmp_path / "net.onnx")
    engine, how = built(runtime, path, workspace_mb=100)
    told, _, command = how.partition(": ")
    given = shlex.split(command)
    assert (told, given[0]) == (f"TensorRT {version}", str(tmp_path / "bin" / "trtexec"))
    assert {"--noTF32", "--memPoolSize=workspace:95.367", f"--onnx={path}", f"--saveEngine={engine}"} <= set(given)
    assert ("--stronglyTyped" in given) == (version == "10.3.0")
    assert ("--buildOnly" in given) == (version == "8.5.2") != ("--skipInference" in given)
    assert [file.read_text() for file in tmp_path.glob("timing-*")] == ["timings"]
    np.testing.assert_allclose(runtime.open(str(engine)).run({"image": IMAGE})[0], expected(path), rtol=1e-5, atol=1e-6)
    assert not [*tmp_path.glob("*.layers")]


@pytest.mark.parametrize("version", VERSIONS)
def test_integers_beside_fp16_are_requested_as_each_version_takes_them(runtime_of, version, tmp_path):
    path = network(tmp_path / "net.onnx", quantised=True, half=not version.startswith("8."))
    engine, how = built(runtime_of(version), path, precision="int8+fp16")
    assert flags(engine)["flags"] == (["FP16", "INT8"] if version.startswith("8.") else [])
    assert ("--fp16" in how) == ("--int8" in how) == version.startswith("8.")


def test_an_fp32_file_becomes_fp16_where_it_can_and_is_never_called_so_where_it_is_not(runtime_of, tmp_path):
    path = network(tmp_path / "net.onnx")
    engine, how = built(runtime_of("10.3.0"), path, precision="fp16")
    assert "--fp16" in how
    assert "--stronglyTyped" not in how
    assert flags(engine)["flags"] == ["FP16"]
    with pytest.raises(ValueError, match=r"trtexec 11\.4\.0 built no layer in fp16: export the file in fp16"):
        built(runtime_of("11.4.0"), path, precision="fp16")


def test_what_it_refuses_is_reported_in_its_words(runtime_of, tmp_path):
    runtime = runtime_of()
    with pytest.raises(ValueError, match="No importer registered for op: Oddity"):
        built(runtime, network(tmp_path / "odd.onnx", op="Oddity"))
    with pytest.raises(ValueError, match="takes 1 for axes that the file leaves open"):
        built(runtime, network(tmp_path / "open.onnx", batch="N"))


def test_a_flag_that_a_version_lacks_is_not_given(runtime_of, tmp_path, monkeypatch):
    monkeypatch.setitem(VERSIONS, "10.3.0", ("100300", "10.3.0", VERSIONS["10.3.0"][2].replace(" --noTF32", "")))
    with pytest.raises(ValueError, match=r"trtexec 10\.3\.0 has no --noTF32"):
        built(runtime_of(), network(tmp_path / "net.onnx"))


def test_without_any_builder_it_is_reported(runtime_of, tmp_path, monkeypatch):
    runtime = runtime_of()
    assert "precisions" not in runtime.capabilities()
    monkeypatch.setattr(_trtexec, "find", lambda: None)
    with pytest.raises(_library.MissingError, match=r"tensorrt 10\.3\.0 can't build engines, and there is no trtexec"):
        built(runtime, network(tmp_path / "net.onnx"))


def test_trtexec_ends_with_who_started_it(runtime_of, tmp_path):
    runtime_of()
    code = f"from edgekd.runtimes.tensorrt import _trtexec; _trtexec._run(['trtexec', '--onnx={tmp_path}/slow'])"
    parent = subprocess.Popen([sys.executable, "-c", code])
    end = time.monotonic() + 20
    while not (tmp_path / "slow").exists() and time.monotonic() < end:
        time.sleep(0.05)
    children = psutil.Process(parent.pid).children()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert children
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
