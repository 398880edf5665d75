"""OpenVINO: the exported ONNX file, and INT8 files by NNCF and by edgekd's own placement.

In which floating-point precision it computes is stated when a file is opened, so that files serve in several.
"""

from collections.abc import Mapping
from pathlib import Path

import onnx

from edgekd import files
from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.nncf.quantise import quantise
from edgekd.deploy.opset import lower_ir_version
from edgekd.deploy.quantise.placement_openvino import placement, with_hard_swishes
from edgekd.deploy.quantise.qdq import with_qdq
from edgekd.deploy.quantise.scales import Scheme
from edgekd.deploy.quantise.simplify import opset
from edgekd.deploy.refusal import refusing
from edgekd.deploy.writers._base import Precision, Source, Usage, settings_of
from edgekd.errors import UnsupportedModelError
from edgekd.runtimes import openvino as runtime
from edgekd.values import Manifest
from edgekd.values.rounding import Rounding

_MOST_IMAGES = 128
"""Of NNCF's calibration: more take longer and keep no more of the outputs."""

_INT8 = Precision(
    tolerance=Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8), integers=True, rounding=Rounding(additions="all")
)

_U8S8 = Scheme(unsigned=True)

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eight bits of mantissa, rounded after every layer
    "bf16": Precision(tolerance=Tolerance(sqnr_db=20, top1_agreement=0.95), file="fp32"),
    # eleven bits of mantissa
    "fp16": Precision(tolerance=Tolerance(sqnr_db=35, top1_agreement=0.98), file="fp32"),
    "int8": _INT8.model_copy(update={"library": "nncf"}),
    "int8+bf16": _INT8.model_copy(update={"library": "nncf", "file": "int8"}),
    "int8-u8s8": _INT8,
    "int8-u8s8+bf16": _INT8.model_copy(update={"file": "int8-u8s8"}),
}


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`: int8 is quantised by NNCF, int8-u8s8 by edgekd; the others are the exported file."""
    if precision == "int8":
        # the graph as it was exported: the calibrated one has hard swishes in parts, which OpenVINO doesn't fuse
        quantise(source.exported, source.calibrated.images()[:_MOST_IMAGES], path, layers=source.layers)
        return path
    if precision == "int8-u8s8":
        _write_integers(source, path)
        return path
    return source.exported


def _write_integers(source: Source, path: Path) -> None:
    with refusing("INT8 for OpenVINO can't be written"):
        model = onnx.load(source.calibrated.graph)
        with_hard_swishes(model, opset(model))
        placed = placement(model.graph, source.layers)
        if not placed.weights:
            raise UnsupportedModelError("it has no layer with constant weights that OpenVINO computes in integers")
        quantised = with_qdq(model, placed, source.calibrated.ranges, _U8S8)
        lower_ir_version(quantised)
        files.write_bytes(path, quantised.SerializeToString())


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`."""
    given = manifest.input
    device, fixed, stated = runtime.properties(**settings_of(manifest))
    own = "".join(f", {key!r}: {value!r}" for key, value in stated.items())
    return Usage(
        library="openvino",
        title="OpenVINO",
        prepare=f"settings = {fixed!r}",
        model=f'openvino.compile_model("{manifest.file}", "{device}", {{**settings{own}}})',
        logits=f'model(values.astype("{given.dtype}"))[0][0]',
        classes='json.load(open("model.json"))["classes"]',
    )
