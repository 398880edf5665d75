"""The runtime `tensorrt` on fakes of five versions, whose calls are checked and whose engines compute."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import fake_tensorrt
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgekd.runtimes import tensorrt as package
from edgekd.runtimes.tensorrt import _cuda, _layers, _library
from edgekd.values import Node

TYPED = [version for version in fake_tensorrt.VERSIONS if not version.startswith("8.")]
WEAK = [version for version in fake_tensorrt.VERSIONS if not version.startswith("11.")]

IMAGE = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)


def network(path, *, half=False, quantised=False, batch=1, op="Conv", layers=2):
    """Convolutions with ReLU: fp32 or fp16, or with explicit Q/DQ of each convolution's input and weights."""
    random = np.random.default_rng(0)
    kind, numpy = (TensorProto.FLOAT16, np.float16) if half else (TensorProto.FLOAT, np.float32)
    nodes, weights, tensor = [], [], "image"
    for i in range(layers):
        values = random.standard_normal((8, 8 if i else 3, 3, 3)) / 10
        name = f"w{i}"
        if quantised:
            weights += [
                onnx.numpy_helper.from_array(np.round(values * 200).clip(-127, 127).astype(np.int8), f"q{i}"),
                onnx.numpy_helper.from_array(np.full(8, 0.005, numpy), f"scales{i}"),
                onnx.numpy_helper.from_array(np.zeros(8, np.int8), f"zeros{i}"),
                onnx.numpy_helper.from_array(np.asarray(0.05, numpy), f"scale{i}"),
                onnx.numpy_helper.from_array(np.asarray(0, np.int8), f"zero{i}"),
            ]
            by = [f"scale{i}", f"zero{i}"]
            nodes += [
                helper.make_node("DequantizeLinear", [f"q{i}", f"scales{i}", f"zeros{i}"], [name], f"dw{i}", axis=0),
                helper.make_node("QuantizeLinear", [tensor, *by], [f"{tensor}_q"], f"quantize{i}"),
                helper.make_node("DequantizeLinear", [f"{tensor}_q", *by], [f"{tensor}_dq"], f"dequantize{i}"),
            ]
            tensor = f"{tensor}_dq"
        else:
            weights.append(onnx.numpy_helper.from_array(values.astype(numpy), name))
        more = {"pads": [1] * 4} if op == "Conv" else {}
        nodes.append(helper.make_node(op, [tensor, name], [f"c{i}"], f"conv{i}", **more))
        nodes.append(helper.make_node("Relu", [f"c{i}"], [f"r{i}"], f"relu{i}"))
        tensor = f"r{i}"
    given = helper.make_tensor_value_info("image", kind, [batch, 3, 16, 16])
    made = helper.make_tensor_value_info(tensor, kind, None)
    graph = helper.make_graph(nodes, "network", [given], [made], weights)
    opset = 19 if half and quantised else 17
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9), path)
    return path


def expected(path, image=IMAGE):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    dtype = np.float16 if "float16" in session.get_inputs()[0].type else np.float32
    return session.run(None, {"image": image.astype(dtype)})[0]


def not_asked(taken):
    raise AssertionError("the network leaves no axis open")


def built(runtime, path, shapes=not_asked, **settings):
    engine = path.with_suffix(".engine")
    return engine, runtime.build(str(path), str(engine), shapes, **settings)


def flags(engine):
    """What the fake builder was told."""
    return json.loads(engine.read_bytes().partition(b"\n")[0])


def test_the_fakes_have_members_of_tensorrts_own_alone(tensorrt_of):
    tensorrt_of()
    import tensorrt

    for kind, members in tensorrt._KNOWN.items():
        assert members <= {m for surface in tensorrt._SURFACES.values() for m in surface["classes"][kind]}
    assert fake_tensorrt.VERSIONS == ("8.6.1", "10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_every_version_builds_and_runs_an_fp32_network(tensorrt_of, version, tmp_path):
    runtime, path = tensorrt_of(version), network(tmp_path / "net.onnx")
    engine, how = built(runtime, path)
    typed = version in TYPED
    assert how == f"tensorrt {version} in Python, {'strongly' if typed else 'weakly'} typed"
    assert (flags(engine)["typed"], flags(engine)["flags"]) == (typed, [])  # not even TF32
    session = runtime.open(str(engine))
    assert session.inputs() == [{"name": "image", "shape": [1, 3, 16, 16], "dtype": "float32"}]
    (first,) = session.run({"image": IMAGE})
    (second,) = session.run({"image": 2 * IMAGE})
    np.testing.assert_allclose(first, expected(path), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second, expected(path, 2 * IMAGE), rtol=1e-5, atol=1e-6)
    assert runtime.describe() == {"version": version, "provider": session.provider}


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_an_fp16_file_keeps_its_types_where_they_can_be_kept(tensorrt_of, version, tmp_path):
    runtime, path = tensorrt_of(version), network(tmp_path / "net.onnx", half=True)
    engine, how = built(runtime, path, precision="fp16")
    assert flags(engine)["flags"] == ([] if version in TYPED else ["FP16"])
    assert how.endswith("strongly typed" if version in TYPED else "weakly typed, FP16")
    session = runtime.open(str(engine), precision="fp16")
    assert session.inputs()[0]["dtype"] == "float16"
    np.testing.assert_allclose(session.run({"image": IMAGE})[0], expected(path), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("version", WEAK)
def test_an_fp32_file_is_lowered_to_fp16_by_tensorrt_itself(tensorrt_of, version, tmp_path):
    engine, how = built(tensorrt_of(version), network(tmp_path / "net.onnx"), precision="fp16")
    assert (flags(engine)["typed"], flags(engine)["flags"]) == (False, ["FP16"])
    assert how.endswith("weakly typed, FP16")


def test_what_only_weak_typing_could_lower_is_refused_where_there_is_none(tensorrt_of, tmp_path):
    with pytest.raises(ValueError, match=r"11\.4.* in the types that a file states.*: export it in fp16"):
        built(tensorrt_of("11.4.0.106"), network(tmp_path / "net.onnx"), precision="fp16")
    with pytest.raises(ValueError, match=r"export it in int8\+fp16"):
        built(tensorrt_of("11.4.0.106"), network(tmp_path / "q.onnx", quantised=True), precision="int8+fp16")


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_integers_are_those_of_the_file(tensorrt_of, version, tmp_path):
    runtime, path = tensorrt_of(version), network(tmp_path / "net.onnx", quantised=True)
    engine, _ = built(runtime, path, precision="int8+fp32")
    assert flags(engine)["flags"] == ([] if version in TYPED else ["INT8"])
    found = runtime.open(str(engine), precision="int8+fp32").run({"image": IMAGE})[0]
    assert np.abs(found - expected(path)).max() < 0.1
    with pytest.raises(ValueError, match="the file quantises nothing"):
        built(runtime, network(tmp_path / "float.onnx"), precision="int8+fp32")


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_integers_beside_fp16(tensorrt_of, version, tmp_path):
    """As typed for 10 and newer, and for 8, whose parser takes no scales in fp16, as fp32 that it lowers."""
    path = network(tmp_path / "net.onnx", quantised=True, half=version in TYPED)
    engine, _ = built(tensorrt_of(version), path, precision="int8+fp16")
    assert flags(engine)["flags"] == ([] if version in TYPED else ["FP16", "INT8"])


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_fp16_in_the_file_is_never_called_fp32(tensorrt_of, version, tmp_path):
    runtime = tensorrt_of(version)
    with pytest.raises(ValueError, match="fp32 was asked for, and the file states fp16"):
        built(runtime, network(tmp_path / "net.onnx", half=True))
    why = "scale must be" if version.startswith("8.") else r"int8\+fp32 was asked for, and the file states fp16"
    with pytest.raises(ValueError, match=why):
        built(runtime, network(tmp_path / "net.onnx", half=True, quantised=True), precision="int8+fp32")


def test_unknown_precisions_are_refused(tensorrt_of, tmp_path):
    with pytest.raises(ValueError, match=r"it builds fp32, fp16, int8\+fp32, int8\+fp16, and int8 was asked for"):
        built(tensorrt_of(), network(tmp_path / "net.onnx"), precision="int8")


def test_open_axes_have_the_sizes_that_are_fed(tensorrt_of, tmp_path):
    runtime, path = tensorrt_of(), network(tmp_path / "net.onnx", batch="N")
    engine, _ = built(runtime, path, lambda taken: {one["name"]: [4, *one["shape"][1:]] for one in taken})
    session = runtime.open(str(engine))
    assert session.inputs()[0]["shape"] == [4, 3, 16, 16]
    images = np.concatenate([IMAGE] * 4)
    np.testing.assert_allclose(session.run({"image": images})[0], expected(path, images), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"'image' is \(1, 3, 16, 16\), and the engine takes \(4, 3, 16, 16\)"):
        session.run({"image": IMAGE})


@pytest.mark.parametrize(
    ("said", "shown"),
    [  # as TensorRT-RTX 1.7.1 says them, and TensorRT 8.6
        (
            "Error Code 4: API Usage Error (n: has type Int32. In checkType at /_src/optimizer/nodeBase.cpp:456)",
            "Error Code 4: API Usage Error (n: has type Int32.)",
        ),
        ("Invalid Node - n\n[checkMacros.cpp::catchCudaError::250]", "Invalid Node - n"),
        ("too large. In processCheck at /a/b-c.cpp:1 In operator() at /a/d.cpp:2)", "too large.)"),
        ("f(x, y.data(), 2): not supported", "f(x, y.data(), 2): not supported"),
        ("4: [network.cpp::validate::3062] no profile (In validate at network.cpp:3062)", "no profile"),
    ],
)
def test_words_of_tensorrt_are_shown_without_places_in_its_source(said, shown):
    assert _library.plain(said) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ('known && "Unsupported data type!"', "Unsupported data type!"),
        ("false", "the parser refuses it without a reason"),
    ],
)
def test_what_the_parser_asserts_is_shown_in_its_words(said, shown):
    error = SimpleNamespace(desc=lambda: said, node=lambda: 3, node_name=lambda: "n", node_operator=lambda: "Cast")
    assert _library.parser_error(error) == f"node 3 'n' (Cast): {shown}"


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_what_the_parser_refuses_is_named(tensorrt_of, version, tmp_path):
    runtime = tensorrt_of(version)
    named = "node 0: Plugin" if version.startswith("8.") else r"node 0 'conv0' \(Oddity\): Plugin"
    with pytest.raises(ValueError, match=f"^{named} not found, are the plugin") as e:
        built(runtime, network(tmp_path / "net.onnx", op="Oddity"))
    assert ".cpp" not in str(e.value)
    (tmp_path / "junk.onnx").write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match=r"Failed to parse the ONNX model|isn't"):
        built(runtime, tmp_path / "junk.onnx")


def test_scales_in_fp16_are_not_for_tensorrt_8(tensorrt_of, tmp_path):
    with pytest.raises(ValueError, match="scale must be of type FLOAT"):
        built(tensorrt_of("8.6.1"), network(tmp_path / "net.onnx", half=True, quantised=True), precision="int8+fp16")


def test_settings_reach_the_builder(tensorrt_of, tmp_path):
    runtime, path = tensorrt_of(), network(tmp_path / "net.onnx")
    engine, how = built(runtime, path, workspace_mb=64, tf32=True)
    assert (flags(engine)["memory"], flags(engine)["flags"]) == ({"WORKSPACE": 64_000_000}, ["TF32"])
    assert how.endswith("strongly typed, TF32, workspace 64 MB")


def test_a_dla_runs_what_it_can_and_the_rest_is_reported(tensorrt_of, tmp_path, monkeypatch, one_node):
    monkeypatch.setenv("FAKE_TENSORRT_DLA_CORES", "2")
    runtime = tensorrt_of()
    path = network(tmp_path / "net.onnx", half=True)
    engine, how = built(runtime, path, precision="fp16", dla_core=1)
    assert how.endswith("weakly typed, FP16, DLA core 1")
    assert (flags(engine)["dla"], flags(engine)["flags"]) == (1, ["FP16", "GPU_FALLBACK"])
    model = onnx.load(path)
    model.graph.node[1].op_type = "Sigmoid"
    onnx.save(model, path)
    engine, how = built(runtime, path, precision="fp16", dla_core=1)
    assert how.endswith("DLA core 1, the GPU for 1 of 4 layers (relu0)")
    session = runtime.open(str(engine), precision="fp16", dla_core=1, trace_in=str(tmp_path))
    session.run({"image": IMAGE})
    providers = {node["name"]: node["provider"] for node in session.nodes(0)}
    assert session.provider == "TensorRT DLA"
    assert [name for name, provider in providers.items() if provider != session.provider] == ["relu0"]


def test_a_dla_of_a_version_without_weak_typing_takes_typed_networks(tensorrt_of, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_TENSORRT_DLA_CORES", "2")
    path = network(tmp_path / "net.onnx", half=True)
    engine, how = built(tensorrt_of("11.4.0.106"), path, precision="fp16", dla_core=0)
    assert how.endswith("strongly typed, DLA core 0")
    assert flags(engine)["flags"] == ["GPU_FALLBACK"]


@pytest.mark.parametrize(
    ("cores", "core", "precision", "why"),
    [
        ("0", 0, "fp16", "DLA core 0 was asked for, and the device has none"),
        ("-1", 0, "fp16", "DLA core 0 was asked for, and the device has none"),
        ("2", 2, "fp16", "DLA core 2 was asked for, and the device has 2"),
        ("2", 0, "fp32", "a DLA computes in fp16 and int8, not in fp32"),
        ("2", 0, "fp16", "a DLA can run none of its layers"),
    ],
)
def test_a_dla_that_cannot_be_used_is_refused(tensorrt_of, tmp_path, monkeypatch, *, cores, core, precision, why):
    monkeypatch.setenv("FAKE_TENSORRT_DLA_CORES", cores)
    path = network(tmp_path / "net.onnx")
    if "none of its layers" in why:
        model = onnx.load(path)
        for node in model.graph.node:
            node.op_type = "Sigmoid"
            del node.input[1:]
            node.ClearField("attribute")
        onnx.save(model, path)
    with pytest.raises(ValueError, match=why):
        built(tensorrt_of(), path, precision=precision, dla_core=core)


def test_what_was_timed_is_kept_beside_the_engines_for_the_next_build(tensorrt_of, tmp_path):
    runtime, path = tensorrt_of(), network(tmp_path / "net.onnx")
    built(runtime, path)
    (kept,) = tmp_path.glob("timing-*")
    assert kept.name == "timing-10.3.0-8.7"
    first = json.loads(kept.read_bytes())["known"]
    built(runtime, network(tmp_path / "other.onnx", layers=3))
    assert set(first) < set(json.loads(kept.read_bytes())["known"])
    kept.write_bytes(b"damaged")
    built(runtime, path)
    assert json.loads(kept.read_bytes())["known"] == first
    assert not [*tmp_path.glob(".*")]


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_what_it_can_is_looked_up(tensorrt_of, version, monkeypatch):
    monkeypatch.setenv("FAKE_TENSORRT_DLA_CORES", "1")
    monkeypatch.setenv("FAKE_CUDA_CAPABILITY", "11.0")
    found = tensorrt_of(version).capabilities()
    assert found == {
        "compute_capability": "11.0",
        "dla_cores": 1,
        "precisions": ["fp32", "fp16", "int8+fp32", "int8+fp16"],
    }


def test_precisions_that_the_gpu_does_not_have_are_not_claimed(tensorrt_of, monkeypatch):
    runtime = tensorrt_of("8.6.1")
    import tensorrt

    monkeypatch.setattr(tensorrt.Builder, "platform_has_fast_int8", False)
    assert runtime.capabilities()["precisions"] == ["fp32", "fp16"]
    monkeypatch.setattr(tensorrt.Builder, "platform_has_fast_fp16", False)
    assert runtime.capabilities()["precisions"] == ["fp32"]


@pytest.mark.parametrize("version", fake_tensorrt.VERSIONS)
def test_layers_are_traced_with_what_they_are_and_compute_in(tensorrt_of, version, tmp_path):
    runtime, path = tensorrt_of(version), network(tmp_path / "net.onnx", quantised=True)
    engine, _ = built(runtime, path, precision="int8+fp32")
    session = runtime.open(str(engine), precision="int8+fp32", trace_in=str(tmp_path))
    for _ in range(4):
        session.run({"image": IMAGE})
    nodes = {node.name: node for node in (Node(**fields) for fields in session.nodes(3))}
    assert (nodes["conv0"].kind, nodes["conv0"].precision, nodes["conv0"].op) == ("product", "int8", "CaskConvolution")
    assert (nodes["quantize0"].kind, nodes["dequantize0"].kind) == ("conversion", "conversion")
    assert nodes["dequantize0"].precision == "int8"
    assert nodes["conv0"].kernel == "sm80_conv"
    assert {node.provider for node in nodes.values()} == {session.provider}
    assert all(node.ms > 0 for node in nodes.values())


TOLD = {
    "int8": "Thirty-two wide channel vectorized row major Int8 format",
    "fp16": "Channel major FP16 format where channel % 8 == 0",
    "fp32": "Row major linear FP32",
    "bf16": "Row major linear BF16",
}


@pytest.mark.parametrize(
    ("op", "takes", "gives", "kind"),
    [
        ("CaskConvolution", "int8", "fp16", "product"),
        ("gemm", "fp16", "fp16", "product"),
        ("Reformat", "fp32", "fp16", "conversion"),
        ("Reformat", "fp32", "fp32", "layout"),
        ("CudaPooling", "bf16", "bf16", None),
        ("Constant", None, None, None),
    ],
)
def test_layers_as_tensorrt_tells_them(op, takes, gives, kind):
    sides = {"Inputs": takes, "Outputs": gives}
    told = {side: [{"Format/Datatype": TOLD[name]}] for side, name in sides.items() if name}
    found = _layers._described({"LayerType": op, **told})
    assert (found["op"], found["kind"], found["precision"]) == (op, kind, takes)


def test_an_engine_without_details_still_times_its_layers(tensorrt_of, tmp_path, monkeypatch):
    runtime, path = tensorrt_of(), network(tmp_path / "net.onnx")
    import tensorrt

    monkeypatch.setattr(tensorrt.ProfilingVerbosity, "DETAILED", tensorrt.ProfilingVerbosity.LAYER_NAMES_ONLY)
    engine, _ = built(runtime, path)
    monkeypatch.undo()
    data = engine.read_bytes().replace(b'"detailed": true', b'"detailed": false')
    engine.write_bytes(data)
    session = tensorrt_of().open(str(engine), trace_in=str(tmp_path))
    session.run({"image": IMAGE})
    first = session.nodes(0)[0]
    assert (first["name"], first["op"]) == ("conv0", "layer")


def test_the_accelerators_own_time_is_of_computing_alone(tensorrt_of, tmp_path):
    runtime, path = tensorrt_of(), network(tmp_path / "net.onnx")
    session = runtime.open(str(built(runtime, path)[0]))
    session.place({"image": IMAGE})
    session.compute()
    assert session.accelerator_ms() > 0
    (found,) = session.run({"image": IMAGE})
    np.testing.assert_allclose(found, expected(path), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("variable", "value", "why"),
    [
        ("FAKE_CUDA_MEMORY", "1000", r"CUDA: out of memory \(error 2 of cudaMalloc of 0.0 MB\)"),
        ("FAKE_CUDA_FAILS", "cudaStreamSynchronize", r"illegal memory access.*\(error 700 of cudaStreamSynchronize\)"),
        ("FAKE_CUDA_FAILS", "cudaMemcpyAsync", r"error 700 of cudaMemcpyAsync"),
        ("FAKE_CUDA_FAILS", "cudaSetDeviceFlags", r"error 700 of cudaSetDeviceFlags"),
    ],
)
def test_what_cuda_refuses_is_reported_in_its_words(tensorrt_of, tmp_path, monkeypatch, *, variable, value, why):
    runtime = tensorrt_of()
    engine, _ = built(runtime, network(tmp_path / "net.onnx"))
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"^(CUDA: )?.*{why}"):
        runtime.open(str(engine)).run({"image": IMAGE})


def test_the_devices_memory_is_given_back(tensorrt_of, tmp_path, monkeypatch, cudart):
    allocated = ctypes.CDLL(str(cudart)).fake_cuda_allocated
    runtime = tensorrt_of()
    engine, _ = built(runtime, network(tmp_path / "net.onnx"))
    before = allocated()
    session = runtime.open(str(engine))
    assert allocated() - before == 4 * (3 + 8) * 16 * 16
    del session
    assert allocated() == before
    monkeypatch.setenv("FAKE_CUDA_MEMORY", str(before + 4 * 4 * 16 * 16))  # room for the input alone
    with pytest.raises(ValueError, match="out of memory"):
        runtime.open(str(engine))
    assert allocated() == before


def test_engines_that_are_not_this_tensorrts_are_refused_in_its_words(tensorrt_of, tmp_path):
    runtime = tensorrt_of("10.3.0")
    engine, _ = built(runtime, network(tmp_path / "net.onnx"))
    with pytest.raises(ValueError, match=r"not compatible with this version of TensorRT, 10\.13\.3\.9") as e:
        tensorrt_of("10.13.3.9").open(str(engine))
    assert "::" not in str(e.value)
    engine.write_bytes(b"junk")
    with pytest.raises(ValueError, match="Magic tag does not match"):
        runtime.open(str(engine))
    with pytest.raises(ValueError, match="can't be read: No such file"):
        runtime.open(str(tmp_path / "missing"))


def test_how_the_host_waits_is_a_setting(tensorrt_of, tmp_path, cudart):
    runtime, flags_of = tensorrt_of(), ctypes.CDLL(str(cudart)).fake_cuda_flags
    engine, _ = built(runtime, network(tmp_path / "net.onnx"))
    runtime.open(str(engine))
    assert flags_of() == 1  # cudaDeviceScheduleSpin
    runtime.open(str(engine), spinning=False)
    assert flags_of() == 4  # cudaDeviceScheduleBlockingSync


def test_an_engine_that_fails_to_run_is_reported_in_its_words(tensorrt_of, tmp_path, monkeypatch):
    runtime = tensorrt_of()
    session = runtime.open(str(built(runtime, network(tmp_path / "net.onnx"))[0]))
    monkeypatch.setenv("FAKE_TENSORRT_FAILS", "1")
    with pytest.raises(ValueError, match=r"Error Code 1: Cask \(Cask convolution execution\)"):
        session.run({"image": IMAGE})


def test_cold_inferences_do_not_count_in_a_trace(tensorrt_of, tmp_path):
    runtime = tensorrt_of()
    session = runtime.open(str(built(runtime, network(tmp_path / "net.onnx"))[0]), trace_in=str(tmp_path))
    session._profiler.runs = [{"conv0": 100.0}, {"conv0": 2.0}, {"conv0": 4.0}]
    assert [node["ms"] for node in session.nodes(1)] == [3.0]


def test_a_missing_tensorrt_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(ModuleNotFoundError, match="this Python has no module tensorrt") as e:
        package.describe()
    assert "apt-get install python3-libnvinfer" in e.value.hint


def test_a_tensorrt_that_lacks_a_library_or_is_too_old_is_explained(tensorrt_of, monkeypatch, tmp_path):
    runtime = tensorrt_of("8.6.1")
    import tensorrt

    monkeypatch.delattr(tensorrt.IExecutionContext, "execute_async_v3")
    with pytest.raises(_library.MissingError, match=r"TensorRT 8\.6\.1 is older than 8\.5"):
        runtime.describe()
    del sys.modules["tensorrt"]
    (tmp_path / "tensorrt.py").write_text("raise ImportError('libnvinfer.so.10: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(_library.MissingError, match=r"can't be imported: libnvinfer\.so\.10: cannot open shared"):
        runtime.describe()


def test_a_missing_cuda_is_explained(monkeypatch):
    monkeypatch.setattr(_cuda, "_candidates", lambda: iter(["/no/such/libcudart.so"]))
    _cuda.load.cache_clear()
    with pytest.raises(_library.MissingError, match=r"libcudart\.so\) isn't found"):
        _cuda.load()


LOADED = """
import ctypes, sys
from edgekd.runtimes.tensorrt import _cuda
ctypes.CDLL(sys.argv[1])
print(next(_cuda._candidates()))
"""


def test_the_cuda_that_is_loaded_is_taken_first(cudart):
    # in a process of its own: PyTorch, which other tests import here, loads another one
    line = [sys.executable, "-c", LOADED, cudart]
    assert subprocess.check_output(line, text=True).strip() == str(Path(cudart).resolve())
