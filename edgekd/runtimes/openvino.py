"""OpenVINO on the CPU.

Loaded by path on devices (see `_base`): it imports nothing from edgekd and runs on Python 3.8. The library is imported
late, so that the host can read the settings of a runtime that only the device has.
"""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edgekd.runtimes._base import Setting

formats = ("onnx",)
builds = False
CLOCK_US = 1.0

SETTINGS: Mapping[str, Setting] = {
    "threads": {"kind": "count", "default": 1, "help": "CPU threads of an inference"},
    "precision": {"kind": "text", "default": "fp32", "help": "floating-point precision; set by the variant"},
    "provider": {"kind": "text", "default": None, "help": "one of OpenVINO's devices; the CPU by default"},
    "provider_options": {"kind": "options", "default": {}, "help": "properties of that device"},
}

_DEVICE = "CPU"

_PRECISION = "INFERENCE_PRECISION_HINT"
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
# INT8 is in the file; what of it isn't in integers computes in a floating-point precision
_HINTS.update(
    {f"{kind}{rest}": hint for kind in ("int8", "int8-u8s8") for rest, hint in (("", "f32"), ("+bf16", "bf16"))}
)
_CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}  # by hint, what a CPU has that computes in it
_KINDS = {
    **dict.fromkeys(("Convolution", "GroupConvolution", "MatMul"), "product"),
    **dict.fromkeys(("FullyConnected", "FullyConnectedCompressed"), "product"),
    **dict.fromkeys(("FullyConnectedQuantized", "FullyConnectedQuantizedLegacy"), "product"),
    **dict.fromkeys(("ConvolutionBackpropData", "GroupConvolutionBackpropData"), "product"),
    **dict.fromkeys(("FakeQuantize", "Convert"), "conversion"),
    **dict.fromkeys(("Reorder", "Transpose"), "layout"),
}
_NOISE = ("Exception from ", "Check '", "FrontEnd API failed", "Summary:")  # prefixes of lines about its source files
_PRECISIONS = {"f32": "fp32", "f16": "fp16", "i8": "int8", "u8": "int8"}  # the other names are the same


_CONVERTER, _TELEMETRY = "openvino.tools.ovc", "openvino_telemetry"


@lru_cache(maxsize=None)
def _library() -> Any:
    """OpenVINO without its model converter, which isn't needed and sends telemetry on import."""
    hidden = [name for name in (_CONVERTER, _TELEMETRY) if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None makes a module not importable
    import openvino

    if _CONVERTER in hidden:
        del sys.modules[_CONVERTER]  # others can still import it, without telemetry
    return openvino


def describe() -> dict[str, str]:
    """The version and the default device."""
    return {"version": _library().__version__.partition("-")[0], "provider": _DEVICE}


def capabilities() -> dict[str, Any]:
    """The precisions that this CPU computes in, a field of `devices.agent.protocol.Runtime`."""
    has = _library().Core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    return {"precisions": [name for name, hint in _HINTS.items() if _CAPABILITIES[hint] in has]}


class Session:
    """A compiled model; see `_base.Session`."""

    def __init__(self, compiled: Any, device: str, *, traced: bool) -> None:
        self._inputs = compiled.inputs
        self._request = compiled.create_infer_request()
        self._averages: list[dict[str, float]] | None = [] if traced else None
        self.provider = device

    def inputs(self) -> list[dict[str, Any]]:
        """Name, shape (with None for dynamic axes) and numpy dtype name of each input."""
        return [
            {
                "name": port.any_name,
                "shape": [None if axis.is_dynamic else axis.get_length() for axis in port.partial_shape],
                "dtype": port.element_type.to_dtype().name,
            }
            for port in self._inputs
        ]

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """One inference; blocks until the outputs are available."""
        try:
            outputs = list(self._request.infer(feeds, share_inputs=True).values())
        except RuntimeError as e:
            raise ValueError(_own_words(e)) from e
        if self._averages is not None:
            profiled = self._request.profiling_info
            self._averages.append({node.node_name: 1e3 * node.real_time.total_seconds() for node in profiled})
        return outputs

    def nodes(self, cold: int) -> list[dict[str, Any]]:
        """The fields of `values.Node` of every executed node, without the first `cold` inferences.

        OpenVINO reports the mean over all inferences, in whole microseconds; the cold ones are subtracted from it.
        """
        averages = self._averages or []
        runs, cold = len(averages), min(cold, len(averages) - 1)
        before = averages[cold - 1] if cold > 0 else {}
        return [
            {
                "name": node.node_name,
                "op": node.node_type,
                "provider": self.provider,
                "ms": max(0.0, averages[-1][node.node_name] * runs - before.get(node.node_name, 0.0) * cold)
                / (runs - cold),
                "kind": _KINDS.get(node.node_type),
                "precision": _precision(node.exec_type),
                "kernel": node.exec_type,
            }
            for node in self._request.profiling_info
            if node.status == _library().ProfilingInfo.Status.EXECUTED
        ]


def open(
    path: str,
    *,
    threads: int = 1,
    precision: str = "fp32",
    provider: str | None = None,
    provider_options: Mapping[str, str] | None = None,
    trace_in: str | None = None,
) -> Session:
    """Compile the model for one inference at a time.

    Args:
        path: the model file.
        threads: CPU threads per inference.
        precision: the variant's: in which floating-point precision the CPU computes what isn't in integers.
        provider: one of OpenVINO's devices; None: the CPU.
        provider_options: properties of that device, as in OpenVINO's documentation.
        trace_in: if not None, nodes are timed for `Session.nodes`; nothing is written.

    Raises:
        ValueError: the model can't be read or compiled, or OpenVINO replaced a requested value.
    """
    if precision not in _HINTS:
        raise ValueError(f"the precision {precision} is not supported; use {', '.join(_HINTS)}")
    core = _library().Core()
    device, fixed, asked = properties(
        threads=threads, precision=precision, provider=provider, provider_options=provider_options
    )
    if device.partition(".")[0] not in {name.partition(".")[0] for name in core.available_devices}:
        raise ValueError(f"the device {device!r} is not available here; available: {', '.join(core.available_devices)}")
    settings = {**fixed, "PERF_COUNT": bool(trace_in), **asked}
    try:
        model = core.compile_model(core.read_model(path), device, settings)
        _require(model, asked)
        return Session(model, device, traced=bool(trace_in))
    except RuntimeError as e:
        raise ValueError(_own_words(e)) from e


def properties(
    *, threads: int, precision: str, provider: str | None, provider_options: Mapping[str, str] | None
) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The device of OpenVINO's for these settings, as `open` takes them, and its properties: those that are the same
    for all settings, and those that follow from them.
    """
    device = provider or _DEVICE
    if device != _DEVICE:
        return device, dict(_LATENCY), dict(provider_options or {})
    # by default it computes in bf16 if the CPU supports it, so the precision is always set
    stated = {_PRECISION: _HINTS[precision], "INFERENCE_NUM_THREADS": threads}
    return device, {**_LATENCY, **_CPU}, {**stated, **(provider_options or {})}


_LATENCY = {"PERFORMANCE_HINT": "LATENCY"}

_CPU = {
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,  # it would override the affinity of the process
    "ENABLE_HYPER_THREADING": True,  # otherwise fewer threads than requested may be used
}


def _require(model: Any, asked: Mapping[str, Any]) -> None:
    """Raises ValueError if OpenVINO silently replaced a requested value."""
    for key, value in asked.items():
        taken = _plain(model.get_property(key))
        if taken.lower() != str(value).lower():
            raise ValueError(f"{key}={value} was requested, but this device uses {taken}")


def _plain(value: Any) -> str:
    """A property's value as in a request: f32 for <Type: 'float32'>, LATENCY for PerformanceMode.LATENCY."""
    return str(value.to_string() if hasattr(value, "to_string") else getattr(value, "name", value))


def _precision(kernel: str) -> str:
    """The precision of a kernel such as brgconv_avx512_bf16 or brgconv_avx512_1x1_I8."""
    element = kernel.rpartition("_")[2].lower()
    return _PRECISIONS.get(element, element)


def _own_words(error: Exception) -> str:
    """The message without source files and line numbers."""
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines()]
    message = " ".join(line.lstrip("- ") for line in lines if line and not line.startswith(_NOISE))
    return (message or str(error).strip())[:500]
