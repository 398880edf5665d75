"""What NVIDIA ships for a Jetson, by the release of its Linux (L4T), for what a device does not report itself.

A device may have another TensorRT than its JetPack came with: what it reports counts, and this informs. What is not
listed here is unknown.
"""

from dataclasses import dataclass

from edgekd.values import Platform


@dataclass(frozen=True)
class Release:
    """What a JetPack consists of; None: not known."""

    l4t: str
    jetpack: str
    cuda: str
    tensorrt: str | None


RELEASES = (
    # JetPack archive (its version by L4T), TensorRT 8.2.1 and CUDA 10.2 by the release notes of JetPack 4.6.1
    Release("32.7.1", "4.6.1", "10.2", "8.2.1"),
    Release("32.7.6", "4.6.6", "10.2", "8.2.1"),
    # JetPack archive; TensorRT by NVIDIA/TensorRT issue 2737
    Release("35.2.1", "5.1", "11.4", "8.5.2"),
    Release("35.3.1", "5.1.1", "11.4", "8.5.2"),
    Release("35.4.1", "5.1.2", "11.4", "8.5.2"),
    Release("35.6.4", "5.1.6", "11.4", "8.5.2"),
    # JetPack archive; what TensorRT it has was not found in writing
    Release("36.3.0", "6.0", "12.2", None),
    # release notes of JetPack 6.1 and 6.2; their updates were seen with TensorRT 10.3 by ultralytics issue 24368
    Release("36.4.0", "6.1", "12.6", "10.3"),
    Release("36.4.3", "6.2", "12.6", "10.3"),
    Release("36.4.4", "6.2.1", "12.6", "10.3"),
    Release("36.4.7", "6.2.1", "12.6", "10.3"),
    # JetPack archive; its TensorRT was not found in writing
    Release("36.5.0", "6.2.2", "12.6", None),
    # CUDA 13.0 and TensorRT by the support matrix of TensorRT-Edge-LLM and issues of NVIDIA/TensorRT
    Release("38.2.0", "7.0", "13.0", "10.13.3"),
    Release("38.2.1", "7.0", "13.0", "10.13.3"),
    Release("38.4.0", "7.1", "13.0", "10.13"),
    # the same matrix; TensorRT as read from a Thor in an issue of NVIDIA/TensorRT
    Release("39.2.0", "7.2", "13.2", "10.16.2"),
)

# by the processor's identifier in the device tree: NVIDIA's list of CUDA GPUs; Thor's was 10.1 before CUDA 13
_COMPUTE_CAPABILITIES = {
    "nvidia,tegra210": "5.3",
    "nvidia,tegra186": "6.2",
    "nvidia,tegra194": "7.2",
    "nvidia,tegra234": "8.7",
    "nvidia,tegra264": "11.0",
}


def is_jetson(platform: Platform) -> bool:
    """Whether the device says that it is one."""
    return platform.l4t is not None or compute_capability(platform) is not None


def missing(platform: Platform) -> dict[str, str]:
    """What NVIDIA ships with the device's L4T, by its name in `Platform`, of what the device does not report."""
    release = next((one for one in RELEASES if one.l4t == platform.l4t), None)
    if release is None:
        return {}
    shipped = {"jetpack": release.jetpack, "cuda": release.cuda, "tensorrt": release.tensorrt}
    return {name: version for name, version in shipped.items() if version and getattr(platform, name) is None}


def compute_capability(platform: Platform) -> str | None:
    """Of the GPU of the device's processor, such as "8.7"; None where the processor isn't known."""
    known = (_COMPUTE_CAPABILITIES.get(one) for one in platform.compatible)
    return next((one for one in known if one), None)
