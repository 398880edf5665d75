"""OpenVINO: ONNX files as they were exported; in which precision it computes is said when they are opened."""

from collections.abc import Callable, Mapping
from pathlib import Path

from edgekd.deploy.check import EXACT, Tolerance
from edgekd.deploy.writers._base import Images, Usage
from edgekd.values import Manifest

tolerances: Mapping[str, Tolerance] = {
    "fp32": EXACT,
    # eight bits of mantissa, rounded after every layer
    "bf16": Tolerance(sqnr_db=20, top1_agreement=0.95),
}

_HINTS = {"fp32": "f32", "bf16": "bf16"}


def write(
    exported: Path, precision: str, path: Path, images: Callable[[], Images], max_opset: int | None = None
) -> Path:
    """The file as it was exported; see `_base.Writer`."""
    return exported


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
