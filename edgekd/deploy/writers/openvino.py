"""OpenVINO: ONNX files as they were exported; in which precision it computes is said when they are opened."""

from collections.abc import Mapping
from pathlib import Path

from edgekd.deploy.check import EXACT, Tolerance
from edgekd.deploy.writers._base import Precision, Source, Usage
from edgekd.values import Manifest

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eight bits of mantissa, rounded after every layer
    "bf16": Precision(tolerance=Tolerance(sqnr_db=20, top1_agreement=0.95), file="fp32"),
}

_HINTS = {"fp32": "f32", "bf16": "bf16"}


def write(source: Source, precision: str, path: Path) -> Path:
    """The file as it was exported; see `_base.Writer`."""
    return source.exported


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`."""
    given, hint = manifest.input, _HINTS[manifest.precision]
    return Usage(
        library="openvino",
        title="OpenVINO",
        model=f'openvino.compile_model("{manifest.file}", "CPU", {{"INFERENCE_PRECISION_HINT": "{hint}"}})',
        logits=f'model(values.astype("{given.dtype}"))[0][0]',
        classes='json.load(open("model.json"))["classes"]',
    )
