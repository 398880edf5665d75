"""OpenVINO: the exported ONNX file, and INT8 files by NNCF and by the placement for ONNX Runtime.

In which floating-point precision it computes is stated when a file is opened, so that files serve in several.
"""

from collections.abc import Mapping
from pathlib import Path

from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.nncf.quantise import quantise
from edgekd.deploy.writers import onnxruntime
from edgekd.deploy.writers._base import Precision, Source, Usage, settings_of
from edgekd.runtimes import openvino as runtime
from edgekd.values import Manifest

_MOST_IMAGES = 128
"""Of NNCF's calibration: more take longer and keep no more of the outputs."""

_INT8 = Precision(
    tolerance=Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8), integers=True, rounding=onnxruntime.ROUNDING
)

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eight bits of mantissa, rounded after every layer
    "bf16": Precision(tolerance=Tolerance(sqnr_db=20, top1_agreement=0.95), file="fp32"),
    # eleven bits of mantissa
    "fp16": Precision(tolerance=Tolerance(sqnr_db=35, top1_agreement=0.98), file="fp32"),
    "int8": _INT8.model_copy(update={"library": "nncf"}),
    "int8+bf16": _INT8.model_copy(update={"library": "nncf", "file": "int8"}),
    "u8s8": _INT8,
    "u8s8+bf16": _INT8.model_copy(update={"file": "u8s8"}),
}


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`: int8 is quantised by NNCF, u8s8 as for ONNX Runtime; the others are the exported file."""
    if precision == "int8":
        # the graph as it was exported: the calibrated one has hard swishes in parts, which OpenVINO doesn't fuse
        quantise(source.exported, source.calibrated.images()[:_MOST_IMAGES], path, layers=source.layers)
        return path
    if precision == "u8s8":
        return onnxruntime.write(source, "int8", path)
    return source.exported


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
