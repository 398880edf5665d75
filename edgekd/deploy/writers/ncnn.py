"""ncnn: its own two files, converted from the ONNX graph by edgekd; ncnn itself isn't needed for that.

fp32 and fp16 differ in how weights are stored and in what the runtime computes in; INT8 is symmetric, with scales by
channel for weights, and stays in fp32 between integer layers, or in fp16 with int8+fp16.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.ncnn.convert import converted
from edgekd.deploy.ncnn.integers import in_integers
from edgekd.deploy.ncnn.layers import Layer, in_half
from edgekd.deploy.ncnn.layers import write as write_files
from edgekd.deploy.quantise.simplify import simplified
from edgekd.deploy.refusal import refusing
from edgekd.deploy.writers._base import Precision, Source, Usage
from edgekd.values import Manifest
from edgekd.values.rounding import Rounding

_INTEGERS = Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8)
_ROUNDING = Rounding(symmetric=True)

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eleven bits of mantissa, rounded after every layer
    "fp16": Precision(tolerance=Tolerance(sqnr_db=35, top1_agreement=0.97)),
    # symmetric activations keep 31 to 37 dB on networks of ImageNet
    "int8": Precision(tolerance=_INTEGERS, integers=True, rounding=_ROUNDING),
    "int8+fp16": Precision(tolerance=_INTEGERS, integers=True, rounding=_ROUNDING, file="int8"),
    "int8-partial": Precision(tolerance=_INTEGERS, integers=True, rounding=_ROUNDING, measured_layers=True),
}


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`: the path of the .param file, beside which the .bin file has the same name."""
    param = path.with_suffix(".param")
    with refusing(f"{precision} for ncnn can't be written"):
        write_files(_layers(source, precision), param)
    return param


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`."""
    given, weights, half = manifest.input, Path(manifest.file).with_suffix(".bin").name, "fp16" in manifest.precision
    start = [
        f"model.opt.num_threads = {manifest.settings.get('threads', 1)}",
        f"model.opt.use_fp16_packed = model.opt.use_fp16_storage = model.opt.use_fp16_arithmetic = {half}",
        f'model.load_param("{manifest.file}")',
        f'model.load_model("{weights}")',
    ]
    feed = [
        f'image = numpy.ascontiguousarray(values[0], "{given.dtype}")',
        "extractor = model.create_extractor()",
        f'extractor.input("{given.name}", ncnn.Mat(image).clone())',
    ]
    return Usage(
        library="ncnn",
        title="ncnn",
        model="ncnn.Net()",
        start="\n".join(start),
        feed="\n".join(feed),
        logits=f'numpy.array(extractor.extract("{manifest.output.name}")[1])',
        classes='json.load(open("model.json"))["classes"]',
    )


def _layers(source: Source, precision: str) -> Sequence[Layer]:
    if precisions[precision].integers:
        layers = converted(onnx.load(source.calibrated.graph))
        return in_integers(layers, source.calibrated.ranges, source.layers)
    layers = converted(simplified(source.exported))
    return in_half(layers) if precision == "fp16" else layers
