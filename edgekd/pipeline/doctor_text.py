"""A diagnosis as lines of text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgekd.devices import jetson
from edgekd.values import DeviceRuntime

if TYPE_CHECKING:  # the command line imports nothing heavy
    from edgekd.measuring.noise import Noise
    from edgekd.pipeline.doctor import Diagnosis

_SOFTWARE = {"jetpack": "JetPack", "l4t": "L4T", "cuda": "CUDA", "tensorrt": "TensorRT"}


def lines(found: "Diagnosis") -> Iterator[str]:
    """What `edgekd doctor` prints."""
    host = found.host
    yield f"edgekd {found.edgekd}, Python {found.python}"
    yield "libraries: " + ", ".join(f"{name} {version or 'missing'}" for name, version in found.libraries.items())
    board = f"{host.board}, " if host.board else ""
    yield f"device: {found.device} {board}{host.cpu}, {host.cores} cores ({host.arch} {host.os} {host.os_version})"
    yield f"system: {', '.join([*_software(found), *_settings(found)])}"
    for name, runtime in found.runtimes.items():
        yield f"runtime: {', '.join(_runtime(name, runtime))}"
    for name, missing in found.missing.items():
        yield f"no {name}: {missing.why}"
        if missing.install:
            yield f"  to install it there: {missing.install}"
    yield f"instructions: {', '.join(host.cpu_features) or 'not reported'}"
    yield f"matching targets: {', '.join(found.targets) or 'none'}"
    yield f"energy: {'reported' if found.energy else 'not reported'} by the device"
    for remark in found.remarks:
        yield f"- {remark}"
    if found.noise:
        yield from _noise(found.noise)


def _software(found: "Diagnosis") -> Iterator[str]:
    platform = found.platform
    yield f"Python {found.host.python}"
    for name, title in _SOFTWARE.items():
        if version := getattr(platform, name):
            yield f"{title} {version}"
        elif shipped := found.shipped.get(name):
            yield f"{title} {shipped} (of this L4T; not reported)"
    if platform.android:
        yield f"Android {platform.android}"
    if platform.glibc:
        yield f"glibc {platform.glibc}"


def _settings(found: "Diagnosis") -> Iterator[str]:
    platform, host = found.platform, found.host
    if host.power_mode:
        yield f"power mode {host.power_mode}"
    if host.clocks_locked is not None:
        yield f"clocks {'locked' if host.clocks_locked else 'not locked'}"
    if platform.free_bytes is not None:
        yield f"{platform.free_bytes / 1e9:.1f} GB free"


def _runtime(name: str, runtime: DeviceRuntime) -> Iterator[str]:
    yield f"{name} {runtime.version}{runtime.origin and f' ({runtime.origin})'}"
    if runtime.precisions:
        yield f"precisions {' '.join(runtime.precisions)}"
    if runtime.compute_capability:
        yield f"compute capability {runtime.compute_capability}"
    if runtime.dla_cores is not None:
        yield f"{runtime.dla_cores} DLA cores"
    if name == "tensorrt" and (opset := jetson.max_opset(runtime.version)):
        yield f"ONNX opset up to {opset}"


def _noise(n: "Noise") -> Iterator[str]:
    yield f"\n{n.model} compared with itself:"
    for r in n.ratios:
        yield f"  {r.estimate:.4f} ({r.low:.4f} to {r.high:.4f} at {r.confidence:.1%})"
    yield f"noise floor: a ratio is off by up to {n.floor:.2%}"
    yield f"resolution: a model that is too slow by more than {n.resolution:.2%} fails at the first look"
    yield f"absolute times: medians of two fresh processes differ by up to {n.launches:.1%}"
