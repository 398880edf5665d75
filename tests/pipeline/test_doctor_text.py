from edgekd.pipeline.doctor import Diagnosis, MissingRuntime
from edgekd.pipeline.doctor_text import lines
from edgekd.values import DeviceRuntime, Host, Platform, State

HOST = Host(machine="m", arch="aarch64", os="linux", cpu="Arm", cores=6, python="3.10.12", board="A Jetson")


def shown(**more):
    known = {
        "edgekd": "1",
        "python": "3.12.1",
        "libraries": {"onnx": "1.2", "timm": None},
        "device": "ssh://orin",
        "host": HOST,
        "platform": Platform(l4t="36.4.3", tensorrt="10.7.0"),
        "shipped": {"jetpack": "6.2"},
        "runtimes": {},
        "missing": {},
        "state": State(),
        "energy": True,
        "targets": (),
        "remarks": (),
    }
    return "\n".join(lines(Diagnosis(**(known | more))))


def test_what_the_device_reports_is_reported_from_what_only_its_release_came_with():
    assert "JetPack 6.2 (of this L4T; not reported), L4T 36.4.3, TensorRT 10.7.0" in shown()


def test_a_runtime_is_shown_with_what_it_can_and_a_missing_one_with_what_installs_it():
    runtime = DeviceRuntime(
        version="10.7.0", provider="TensorRT", precisions=("fp32", "fp16"), compute_capability="8.7", dla_cores=0
    )
    missing = MissingRuntime(why="not installed", install="pip install onnxruntime")
    text = shown(runtimes={"tensorrt": runtime}, missing={"onnxruntime": missing})
    assert (
        "runtime: tensorrt 10.7.0, precisions fp32 fp16, compute capability 8.7, 0 DLA cores, ONNX opset up to 20\n"
        "no onnxruntime: not installed\n"
        "  to install it there: pip install onnxruntime\n"
    ) in text


def test_of_every_runtime_the_opset_is_shown_up_to_which_its_version_reads():
    runtimes = {
        name: DeviceRuntime(version=version, provider="CPU")
        for name, version in (("onnxruntime", "1.19.2"), ("tensorrt", "99.1"), ("openvino", "2026.4.1"))
    }
    shown_lines = [line for line in shown(runtimes=runtimes).splitlines() if line.startswith("runtime: ")]
    assert [line.partition(", ")[2] for line in shown_lines] == ["ONNX opset up to 21", "", ""]
