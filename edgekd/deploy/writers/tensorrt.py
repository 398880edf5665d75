"""TensorRT: typed ONNX files with explicit Q/DQ, from which engines are built on the device.

INT8 is symmetric S8 where TensorRT wants it (`quantise.placement_tensorrt`). A TensorRT that reads opset 19 builds in
the types of the file; an older one (8.x) takes fp16 as a permission of the builder, refuses integer weights
(onnxruntime issue 11535) and half scales: its files are float, with Q/DQ pairs on weights too.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx

from edgekd import files
from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.opset import lower_ir_version
from edgekd.deploy.quantise.half import beyond_half
from edgekd.deploy.quantise.half import half as in_half
from edgekd.deploy.quantise.placement_tensorrt import placement
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.scales import SYMMETRIC
from edgekd.deploy.quantise.simplify import at_least
from edgekd.deploy.refusal import refusing
from edgekd.deploy.writers._base import Precision, Source, Usage, settings_of
from edgekd.errors import UnsupportedModelError
from edgekd.values import Manifest
from edgekd.values.rounding import Rounding

_S8 = Rounding(symmetric=True, additions="skip")
_INT8 = Precision(tolerance=Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8), integers=True, rounding=_S8)

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eleven bits of mantissa keep 55 to 70 dB
    "fp16": Precision(tolerance=Tolerance(sqnr_db=35, top1_agreement=0.97)),
    # symmetric activations keep 39 to 42 dB on networks of ImageNet
    "int8+fp32": _INT8,
    "int8+fp16": _INT8,
}

_WEAKLY = {"fp32": [], "fp16": ["--fp16"], "int8+fp32": ["--int8"], "int8+fp16": ["--int8", "--fp16"]}
"""The flags by which a TensorRT that isn't strongly typed gets the types."""

_MEBIBYTE = 1 << 20

_ASLEEP = (
    "# it was measured with a host that sleeps while the GPU works: cudaSetDeviceFlags(cudaDeviceScheduleBlockingSync)"
)

TYPED_FROM = 19
"""The first opset whose QuantizeLinear takes float16; what reads it is TensorRT 10 or later, with strong typing."""


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`. Where TensorRT isn't strongly typed, fp16 is the exported file."""
    half = precision.endswith("fp16") and (source.max_opset is None or source.max_opset >= TYPED_FROM)
    if not half and not precision.startswith("int8"):
        return source.exported
    with refusing(f"{precision} for TensorRT can't be written"):
        integers = precision.startswith("int8")
        model = _int8(source, half) if integers else _half(source)
        lower_ir_version(model)
        files.write_bytes(path, model.SerializeToString())
    return path


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`: NVIDIA's Polygraphy runs the engine, which takes no line of CUDA."""
    given, engine = manifest.input, f"{Path(manifest.file).stem}.engine"
    return Usage(
        library="polygraphy.backend.trt",
        title="TensorRT",
        prepare="" if settings_of(manifest)["spinning"] else _ASLEEP,
        build=f"trtexec --onnx={manifest.file} --saveEngine={engine}{_flags(manifest)}",
        model=f'polygraphy.backend.trt.TrtRunner(polygraphy.backend.trt.EngineFromPath("{engine}"))',
        start="model.activate()",
        logits=f'model.infer({{"{given.name}": values.astype("{given.dtype}")}})["{manifest.output.name}"][0]',
        classes='json.load(open("model.json"))["classes"]',
    )


def _flags(manifest: Manifest) -> str:
    """What trtexec is told of the variant; `runtimes.tensorrt` builds in the same way."""
    settings, weakly = settings_of(manifest), _WEAKLY[manifest.precision]
    flags = [] if settings["tf32"] else ["--noTF32"]
    if settings["workspace_mb"] is not None:
        flags.append(f"--memPoolSize=workspace:{settings['workspace_mb'] * 1_000_000 / _MEBIBYTE:.3f}")
    if settings["dla_core"] is not None:  # a DLA takes weakly typed networks
        flags += [f"--useDLACore={settings['dla_core']}", "--allowGPUFallback", *weakly]
        return "".join(f" {flag}" for flag in flags)
    instead = " ".join(weakly) or "none"
    return "".join(f" {flag}" for flag in [*flags, f"--stronglyTyped  # TensorRT 8: {instead} instead"])


def _half(source: Source) -> onnx.ModelProto:
    model = onnx.load(source.exported)
    return in_half(model, _beyond_half(source, model))


def _beyond_half(source: Source, model: onnx.ModelProto) -> dict[str, str]:
    return beyond_half(model, source.images() if source.images else None)


def _int8(source: Source, half: bool) -> onnx.ModelProto:
    model = onnx.load(source.calibrated.graph)
    if half:
        model = at_least(model, TYPED_FROM)
    placed = placement(model.graph, source.layers)
    if not placed.weights:
        raise UnsupportedModelError("it has no convolution or Gemm with constant weights, so nothing would be INT8")
    quantised = with_qdq(model, placed, source.calibrated.ranges, replace(SYMMETRIC, half=half, packed=half))
    return in_half(quantised, _beyond_half(source, model)) if half else quantised
