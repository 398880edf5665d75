import pytest

from edgekd import catalog
from edgekd.deploy.opset import ceiling, ceilings, exported
from edgekd.devices.reading import reads

X86, ORIN, THOR = map(catalog.target, ("x86-cpu", "jetson-orin-nano", "jetson-thor"))


@pytest.mark.parametrize(
    ("target", "runtime", "version", "opset"),
    [
        (X86, "onnxruntime", None, None),
        (X86, "onnxruntime", "1.14.1", 18),
        (X86, "onnxruntime", "9.9", None),
        (X86, "openvino", "2026.4.1", None),
        (ORIN, "tensorrt", None, 20),
        (ORIN, "tensorrt", "8.6.1", 17),
        (ORIN, "tensorrt", "10.3.0", 20),
        (ORIN, "tensorrt", "10.13.3", 20),  # the target's, of all versions 10
        (ORIN, "tensorrt", "11.4.1", 20),
        (THOR, "tensorrt", "10.9.0", 22),  # the device's
    ],
)
def test_what_a_runtime_reads_is_the_lower_of_what_the_target_states_and_the_devices_version_reads(
    target, runtime, version, opset
):
    assert ceiling(target, runtime, version) == opset
    versions = {runtime: version} if version else {}
    assert ceilings(target, [runtime], versions) == ({runtime: opset} if opset else {})


@pytest.mark.parametrize(
    ("target", "runtimes", "versions", "opset"),
    [
        (X86, ["onnxruntime", "openvino"], {}, 18),
        (X86, ["onnxruntime", "openvino"], {"onnxruntime": "1.12.1", "openvino": "2026.4.1"}, 17),
        (X86, ["openvino"], {"onnxruntime": "1.12.1", "openvino": "2026.4.1"}, 18),
        (X86, ["onnxruntime"], {"onnxruntime": "1.32.0"}, 18),
        (ORIN, ["tensorrt", "onnxruntime"], {}, 17),  # any TensorRT that the target may have
        (ORIN, ["tensorrt", "onnxruntime"], {"onnxruntime": "1.8.1"}, 14),
        (ORIN, ["tensorrt"], {"tensorrt": "8.6.1"}, 17),
        (ORIN, ["tensorrt"], {"tensorrt": "10.3.0"}, 18),
    ],
)
def test_one_file_is_exported_for_all_runtimes_that_read_it(target, runtimes, versions, opset):
    assert exported(target, runtimes, versions, 18) == opset


def test_targets_state_no_more_than_the_oldest_tensorrt_of_a_major_version_reads():
    oldest = {"jetson-thor": "10.13"}  # older ones don't know its GPU
    for target in catalog.targets():
        for key, opset in target.max_opset.items():
            name, _, major = key.partition("-")
            assert name == "tensorrt"
            row = reads(name, oldest.get(target.name, {"8": "8.5", "10": "10.0"}[major]))
            assert row["opset"] == opset
