"""NVIDIA TensorRT, 8.5 to 11: builds an engine on the device that runs it, and runs it there.

Loaded by path on devices (see `runtimes._base`), with the other files of this folder: nothing of edgekd is imported
here, and Python 3.8 is enough. What a version of TensorRT can do is looked up in its module (`hasattr`, `__members__`)
and never concluded from its number: flags went away, and values of enumerations moved, between 8, 10 and 11.

Running needs TensorRT's own Python module, as JetPack has it, and CUDA's runtime library, which is called by ctypes.
Building needs that module too; if it has no builder, trtexec takes its place. The settings of `build` and of `open` are
those of one variant, so each takes all of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekd.runtimes._base import Reads, Setting
    from edgekd.runtimes.tensorrt._session import Session

    Shapes = Callable[[Sequence[Mapping[str, Any]]], Mapping[str, Sequence[int]]]

formats = ("onnx",)
builds = True

SETTINGS: Mapping[str, Setting] = {
    "precision": {"kind": "text", "default": "fp32", "help": "what is computed in; the variant's"},
    "dla_core": {
        "kind": "index",
        "default": None,
        "help": "the DLA core that runs what it can, the GPU the rest; the GPU alone by default",
    },
    "workspace_mb": {"kind": "count", "default": None, "help": "MB that one layer may use while it runs"},
    "tf32": {"kind": "switch", "default": False, "help": "whether fp32 products may be rounded to TF32"},
    "spinning": {"kind": "switch", "default": True, "help": "whether the host stays awake while the GPU works"},
}

# README of onnx-tensorrt at its release branches; the IR version is no reason for it to refuse a file
READS: Sequence[Reads] = tuple(
    {"since": since, "opset": opset, "ir_version": None}
    for since, opset in (
        ((8, 5), 17),
        ((8, 7), None),
        ((10, 0), 20),
        ((10, 9), 22),
        ((10, 13), 24),
        ((10, 17), None),
    )
)
# operators on integers, which no parser has: integers come in Q/DQ pairs
_ON_INTEGERS = (
    "ConvInteger-10 DynamicQuantizeLinear-11 MatMulInteger-10 QLinearConv-10 QLinearMatMul-10 QLinearMatMul-21",
    "com.microsoft:DynamicQuantizeMatMul com.microsoft:MatMulIntegerToFloat com.microsoft:QAttention",
    "com.microsoft:QGemm com.microsoft:QLinearAdd com.microsoft:QLinearAveragePool com.microsoft:QLinearConcat",
    "com.microsoft:QLinearConv com.microsoft:QLinearGlobalAveragePool com.microsoft:QLinearLeakyRelu",
    "com.microsoft:QLinearMul com.microsoft:QLinearSigmoid com.microsoft:QLinearSoftmax com.microsoft:QLinearWhere",
)
OPERATORS: Mapping[str, tuple[int, int] | None] = {name: None for names in _ON_INTEGERS for name in names.split()}


def describe() -> dict[str, str]:
    """Its version, and what runs artifacts if nothing else is asked for."""
    from ._layers import GPU
    from ._library import library

    return {"version": library().__version__, "provider": GPU}


def capabilities() -> dict[str, Any]:
    """What else is known of it here, which takes a builder, and so time and memory, to find out.

    Returns:
        Further fields of `devices.agent.protocol.Runtime`.
    """
    from . import _build, _cuda
    from ._library import builds as can_build
    from ._library import library, logger

    trt = library()
    found: dict[str, Any] = {"compute_capability": _cuda.load().compute_capability()}
    if can_build(trt):
        builder = trt.Builder(logger(trt))
        found["dla_cores"] = max(0, builder.num_DLA_cores)
        found["precisions"] = _build.precisions(trt, builder)
    return found


def build(
    path: str,
    engine: str,
    shapes: Shapes,
    *,
    precision: str = "fp32",
    dla_core: int | None = None,
    workspace_mb: int | None = None,
    tf32: bool = False,
    spinning: bool = True,
) -> str:
    """Write the engine of an ONNX file.

    Args:
        path: the ONNX file.
        engine: where to write; the timing cache of all engines is kept beside it.
        shapes: gives the shape of each input by name, of a network that leaves axes open.
        precision: fp32, fp16, int8+fp32 or int8+fp16. The integers are in the file (Q/DQ); fp16 is in it where the
            network can be strongly typed, or else is TensorRT's choice for an fp32 file.
        dla_core: that runs the layers that it can.
        workspace_mb: that one layer may use while it runs.
        tf32: whether products of fp32 may be rounded to TF32's 10 bits.
        spinning: not of the engine.

    Returns:
        How it was built, in words.

    Raises:
        ValueError: it can't be built; the text says why.
    """
    from . import _build, _cuda, _trtexec
    from ._library import MissingError, library
    from ._library import builds as can_build

    wish = _build.Wish(precision, dla_core, workspace_mb, tf32)
    trt = library()
    known_timings = Path(engine).parent / f"timing-{trt.__version__}-{_cuda.load().compute_capability()}"
    if not can_build(trt):
        tool = _trtexec.find()
        if tool is None:
            raise MissingError(f"the module tensorrt {trt.__version__} can't build engines, and there is no trtexec")
        return _trtexec.build(tool, path, engine, wish=wish, known_timings=known_timings)
    return _build.build(trt, path, engine, shapes, wish=wish, known_timings=known_timings)


def open(
    path: str,
    *,
    precision: str = "fp32",
    dla_core: int | None = None,
    workspace_mb: int | None = None,
    tf32: bool = False,
    spinning: bool = True,
    trace_in: str | None = None,
) -> Session:
    """Load an engine that `build` wrote.

    Args:
        path: of the engine.
        precision: of the engine, and so are `workspace_mb` and `tf32`: nothing is left to do for them.
        dla_core: that it was built for.
        workspace_mb: see `precision`.
        tf32: see `precision`.
        spinning: whether the host waits for the GPU awake, which answers faster, or asleep.
        trace_in: whether layers are timed, for `Session.nodes`; nothing is written there.

    Raises:
        ValueError: it can't be loaded; the text says why.
    """
    from . import _cuda, _session
    from ._layers import DLA, GPU
    from ._library import library

    cuda = _cuda.load()
    cuda.wait_awake(spinning)
    provider = GPU if dla_core is None else DLA
    return _session.opened(library(), cuda, path, provider=provider, dla_core=dla_core, traced=bool(trace_in))
