"""A diagnosis as lines of text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgekd.devices.reading import reads
from edgekd.values import DeviceRuntime, Host, State

if TYPE_CHECKING:  # the command line imports nothing heavy
    from edgekd.measuring.noise import Noise
    from edgekd.pipeline.doctor import Diagnosis

_SOFTWARE = {"jetpack": "JetPack", "l4t": "L4T", "cuda": "CUDA", "tensorrt": "TensorRT"}


def lines(found: "Diagnosis") -> Iterator[str]:
    """What `edgekd doctor` prints."""
    host = found.host
    yield f"edgekd {found.edgekd}, Python {found.python}"
    yield "libraries: " + ", ".join(f"{name} {version or 'missing'}" for name, version in found.libraries.items())
    yield f"device: {found.device} {hardware(host)} ({host.arch} {host.os} {host.os_version})"
    yield f"system: {', '.join([*_software(found), *_settings(found)])}"
    for name, runtime in found.runtimes.items():
        yield f"runtime: {', '.join(_runtime(name, runtime))}"
    yield from _missing(found)
    yield f"instructions: {', '.join(host.cpu_features) or 'not reported'}"
    yield f"matching targets: {', '.join(found.targets) or 'none'}"
    yield f"state: {', '.join(_state(found.state)) or 'not reported'}"
    yield f"energy: {'reported' if found.energy else 'not reported'} by the device"
    for remark in found.remarks:
        yield f"- {remark}"
    if found.noise:
        yield from _noise(found.noise)
    else:
        yield "noise: not measured; --noise compares a model with itself"


def hardware(host: Host) -> str:
    """The board, if it is known, the processor, and the number of CPUs."""
    names = dict.fromkeys(name for name in (host.board, host.cpu) if name and name != "unknown")
    return f"{', '.join(names) or 'unknown processor'}, {host.cores} cores"


def _missing(found: "Diagnosis") -> Iterator[str]:
    for name, missing in found.missing.items():
        if missing.wanted:
            yield f"no {name}: {missing.why}"
            if missing.install:
                yield f"  to install it there: {missing.install}"
    if others := [name for name, missing in found.missing.items() if not missing.wanted]:
        yield f"not there, and not a runtime of its targets: {', '.join(others)}"


def _state(state: State) -> Iterator[str]:
    clock = max(state.clocks_mhz, default=None)
    for name, now, limit in (
        ("CPU", clock, state.clock_limit_mhz),
        ("GPU", state.gpu_clock_mhz, state.gpu_clock_limit_mhz),
    ):
        if now is not None:
            yield f"{name} at {now:.0f}{f' of {limit:.0f}' if limit else ''} MHz"
    if state.governor:
        yield f"governor {state.governor}"
    if state.temperatures_c:
        name, celsius = max(state.temperatures_c.items(), key=lambda one: one[1])
        yield f"hottest {celsius:.0f} °C ({name})"
    if state.rails_w:
        yield ", ".join(f"{name} {watts:.1f} W" for name, watts in state.rails_w.items())


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
    if (row := reads(name, runtime.version)) and row["opset"]:
        yield f"ONNX opset up to {row['opset']}"


def _noise(n: "Noise") -> Iterator[str]:
    yield f"\n{n.model} compared with itself:"
    for r in n.ratios:
        yield f"  {r.estimate:.4f} ({r.low:.4f} to {r.high:.4f} at {r.confidence:.1%})"
    yield f"noise floor: a ratio is off by up to {n.floor:.2%}"
    yield f"resolution: a model that is too slow by more than {n.resolution:.2%} fails at the first look"
    yield f"absolute times: medians of two fresh processes differ by up to {n.launches:.1%}"
