"""INT8 for ONNX Runtime's CPU kernels: explicit Q/DQ where it makes integer kernels of it, S8 weights per channel.

On x86 activations are U8: S8 leaves many layers in float there, because ONNX Runtime's rewriting to U8 stops at
residuals. Arm has kernels for both.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx

from edgekd import files
from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.opset import lower_ir_version
from edgekd.deploy.quantise.placement_onnxruntime import placement
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.scales import S8S8, U8S8, Scheme
from edgekd.deploy.refusal import refusing
from edgekd.deploy.rewrite.blocked import write_blocked
from edgekd.deploy.writers._base import Precision, Source, Usage, settings_of
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes.onnxruntime import EXACT_INTEGERS
from edgekd.values import Manifest
from edgekd.values.manifest import CLASSES
from edgekd.values.rounding import Rounding

ROUNDING = Rounding(additions="all")
"""In U8; an asymmetric S8 has the same levels."""
# eight bits keep 37 to 45 dB in well-behaved networks
_INT8 = Precision(tolerance=Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8), integers=True, rounding=ROUNDING)

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    "fp32-blocked": Precision(tolerance=EXACT),
    "int8": _INT8,
    "int8-s8s8": _INT8,
    "int8-partial": _INT8.model_copy(update={"measured_layers": True}),
}

_CPU = "CPUExecutionProvider"

_SCHEMES = {"int8": U8S8, "int8-s8s8": S8S8, "int8-partial": U8S8}


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`: fp32 is the file as it was exported."""
    if precision == "fp32":
        return source.exported
    if precision == "fp32-blocked":
        return write_blocked(source.exported, path)
    _write_integers(source, path, _SCHEMES[precision])
    return path


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`."""
    given, settings = manifest.input, settings_of(manifest)
    options = ["options = onnxruntime.SessionOptions()", f"options.intra_op_num_threads = {settings['threads']}"]
    if not settings["spinning"]:
        options.append('options.add_session_config_entry("session.intra_op.allow_spinning", "0")')
    if settings["exact_integers"]:
        options.append(f"options.add_session_config_entry{EXACT_INTEGERS!r}")
    return Usage(
        library="onnxruntime",
        title="ONNX Runtime",
        prepare="\n".join(options),
        model=f'onnxruntime.InferenceSession("{manifest.file}", options{_providers(settings)})',
        logits=f'model.run(None, {{"{given.name}": values.astype("{given.dtype}")}})[0][0]',
        classes=f'json.loads(model.get_modelmeta().custom_metadata_map["{CLASSES}"])',
    )


def _providers(settings: Mapping[str, Any]) -> str:
    """The argument with the provider that a variant names; without one, ONNX Runtime takes the CPU's."""
    provider, stated = settings["provider"], settings["provider_options"]
    if not provider and not stated:
        return ""
    first = provider or _CPU
    listed = [(first, stated) if stated else first, *([] if first == _CPU else [_CPU])]
    return f", providers={listed!r}"


def _write_integers(source: Source, path: Path, scheme: Scheme) -> None:
    with refusing("INT8 for ONNX Runtime can't be written"):
        model = onnx.load(source.calibrated.graph)
        placed = placement(model.graph, source.layers)
        if not placed.weights:
            raise UnsupportedModelError("it has no layer with constant weights that ONNX Runtime computes in integers")
        quantised = with_qdq(model, placed, source.calibrated.ranges, scheme)
        lower_ir_version(quantised)
        files.write_bytes(path, quantised.SerializeToString())
