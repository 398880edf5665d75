import pytest

from edgekd import catalog
from edgekd.deploy.variants import deployable, reference, require_reference, why_not
from edgekd.errors import DeviceError, EdgekdError, ExitCode
from edgekd.runtimes import onnxruntime
from edgekd.values import DeviceFacts, DeviceRuntime, Host, Variant

TARGET = catalog.target("x86-cpu")
FP32, INT8 = (Variant(runtime="onnxruntime", precision=precision) for precision in ("fp32", "int8"))
ABACUS = Variant(runtime="abacus", precision="fp32")


def test_variants_that_can_be_written_and_run_are_kept_in_their_order():
    found = deployable(TARGET.model_copy(update={"variants": (INT8, ABACUS, FP32)}))
    assert found.variants == (INT8, FP32)
    assert [gone.name for gone in found.left_out] == ["abacus-fp32"]


def test_the_reason_is_what_is_missing(monkeypatch):
    assert why_not(FP32) is None
    assert why_not(ABACUS) == "edgekd has no runtime for abacus"
    fp4 = Variant(runtime="onnxruntime", precision="fp4")
    assert why_not(fp4).startswith("the writer for onnxruntime has no fp4, only fp32, ")

    def missing():
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    monkeypatch.setattr(onnxruntime, "describe", missing)
    assert why_not(FP32) == "onnxruntime is not installed"

    def too_old():
        raise EdgekdError("onnxruntime 1.0 is too old", "Install a newer one.")

    monkeypatch.setattr(onnxruntime, "describe", too_old)
    assert why_not(FP32) == "onnxruntime 1.0 is too old: Install a newer one."


def facts(**runtimes):
    host = Host(machine="m", arch="aarch64", os="linux", cpu="c", cores=1, python="3.10")
    return DeviceFacts(
        host=host, runtimes=runtimes, unavailable={"openvino": "not installed: Python has no module openvino"}
    )


def test_a_devices_runtimes_decide_and_not_this_machines():
    """TensorRT isn't here, and OpenVINO is."""
    engine, fp16 = (Variant(runtime="tensorrt", precision=precision) for precision in ("fp32", "fp16"))
    openvino = Variant(runtime="openvino", precision="fp32")
    has = facts(tensorrt=DeviceRuntime(version="10.3.0", provider="TensorRT", builds=True, precisions=("fp32",)))
    target = TARGET.model_copy(update={"variants": (engine, fp16, openvino)})
    found = deployable(target, has, lambda runtime: f"/opt/python -m pip install {runtime}")
    assert found.variants == (engine,)
    assert {gone.name: gone.why for gone in found.left_out} == {
        "tensorrt-fp16": "tensorrt 10.3.0 has no fp16 on the device, only fp32",
        "openvino-fp32": "openvino is not on the device: not installed: Python has no module openvino; "
        "install it there: /opt/python -m pip install openvino",
    }


def test_a_device_has_a_cpu_for_each_thread():
    has = facts(onnxruntime=DeviceRuntime(version="1.24", provider="CPU", builds=False, precisions=("fp32",)))
    several = tuple(Variant(runtime="onnxruntime", precision="fp32", settings={"threads": n}) for n in (1, 2))
    found = deployable(TARGET.model_copy(update={"variants": several}), has)
    assert [variant.name for variant in found.variants] == ["onnxruntime-fp32"]
    assert [gone.why for gone in found.left_out] == ["it takes 2 threads, and the device has 1 CPU"]


def test_without_a_device_another_runtime_stands_in_for_a_reference_that_only_devices_run():
    engine = Variant(runtime="tensorrt", precision="fp32")
    target = TARGET.model_copy(update={"reference": engine, "variants": (engine, INT8, FP32)})
    assert reference(target) == FP32
    require_reference(target)
    assert reference(target, facts()) == engine
    with pytest.raises(EdgekdError, match="its reference is tensorrt-fp32, and tensorrt is not on the device") as e:
        require_reference(target, facts(onnxruntime=DeviceRuntime(version="1.23.2", provider="CPU")))
    assert "on the device: onnxruntime-int8, onnxruntime-fp32" in e.value.hint


def test_a_device_without_the_references_runtime_is_at_fault_and_not_the_target():
    bare = facts().model_copy(
        update={"unavailable": {"onnxruntime": "not installed: Python has no module onnxruntime"}}
    )
    with pytest.raises(DeviceError, match="onnxruntime is not on the device: not installed") as e:
        require_reference(TARGET, bare, lambda runtime: f"/opt/python -m pip install {runtime}")
    assert e.value.exit_code == ExitCode.UNREACHABLE
    assert e.value.hint == "Install it there: /opt/python -m pip install onnxruntime"
    engine = Variant(runtime="tensorrt", precision="fp32")
    has_another = bare.model_copy(update={"runtimes": {"tensorrt": DeviceRuntime(version="10.3", provider="GPU")}})
    target = TARGET.model_copy(update={"variants": (engine,)})
    with pytest.raises(DeviceError) as e:
        require_reference(target, has_another, lambda runtime: f"pip install {runtime}")
    assert e.value.hint == (
        "Name another variant in its [reference]; those that can be deployed on the device: tensorrt-fp32. "
        "Or install onnxruntime there: pip install onnxruntime"
    )
    with pytest.raises(DeviceError) as e:
        require_reference(TARGET, bare)
    assert e.value.hint == "Give a device that has onnxruntime."


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (ABACUS, "its reference is abacus-fp32, and edgekd has no runtime for abacus"),
        (Variant(runtime="onnxruntime", precision="fp16"), "its reference is onnxruntime-fp16, and the writer for"),
    ],
)
def test_a_reference_that_cannot_be_deployed_is_refused(reference, says):
    with pytest.raises(EdgekdError, match=says) as e:
        require_reference(TARGET.model_copy(update={"reference": reference}))
    assert "onnxruntime-fp32" in e.value.hint
    require_reference(TARGET)


def test_a_setting_that_the_runtime_does_not_have_is_refused():
    odd = FP32.model_copy(update={"settings": {"theads": 2}})
    with pytest.raises(EdgekdError, match="target x86-cpu: onnxruntime has no setting 'theads'"):
        require_reference(TARGET.model_copy(update={"variants": (FP32, odd)}))


def test_settings_that_are_the_runtimes_defaults_make_no_other_variant():
    stated = FP32.model_copy(update={"settings": {"threads": 1}})
    assert deployable(TARGET.model_copy(update={"variants": (stated,)})).variants == (FP32,)
