"""Static INT8 for ONNX Runtime's CPU kernels: explicit Q/DQ, U8 activations, S8 weights per channel.

U8S8 is what its x86 kernels fuse into integer convolutions; S8S8 leaves many of them in float.
"""

import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgekd.deploy.check import BROKEN_BELOW_DB, EXACT, Tolerance
from edgekd.deploy.quantise.calibration import Images
from edgekd.deploy.quantise.ranges import Feeds
from edgekd.deploy.quantise.simplify import require_scales_by_channel
from edgekd.deploy.writers._base import Precision, Source, Usage
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.files import writing
from edgekd.values import Manifest
from edgekd.values.manifest import CLASSES

precisions: Mapping[str, Precision] = {
    "fp32": Precision(tolerance=EXACT),
    # eight bits keep 37 to 45 dB in well-behaved networks
    "int8": Precision(tolerance=Tolerance(sqnr_db=BROKEN_BELOW_DB, top1_agreement=0.8), integers=True),
}


def write(source: Source, precision: str, path: Path) -> Path:
    """See `_base.Writer`: fp32 is the file as it was exported, INT8 is quantised by ONNX Runtime's own quantiser."""
    if precision == "fp32":
        return source.exported
    _write_int8(source.exported, path, source.calibrated.images())
    return path


def usage(manifest: Manifest) -> Usage:
    """See `_base.Writer`."""
    given = manifest.input
    return Usage(
        library="onnxruntime",
        title="ONNX Runtime",
        model=f'onnxruntime.InferenceSession("{manifest.file}")',
        logits=f'model.run(None, {{"{given.name}": values.astype("{given.dtype}")}})[0][0]',
        classes=f'json.loads(model.get_modelmeta().custom_metadata_map["{CLASSES}"])',
    )


def _write_int8(fp32: Path, int8: Path, images: Images) -> None:
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder, writing(int8):
            _quantise(fp32, int8, images, Path(folder) / "inferred.onnx")
    except (EdgekdError, OSError):
        raise
    # it asserts and broadcasts its way through graphs that are new to it: any kind may come
    except Exception as e:
        int8.unlink(missing_ok=True)
        reason = " ".join(f"{type(e).__name__}: {e}".split())
        raise UnsupportedModelError(f"ONNX Runtime's quantiser failed: {reason[:300]}") from e
    finally:
        logging.disable(level)


def _quantise(fp32: Path, int8: Path, images: Images, inferred: Path) -> None:
    require_scales_by_channel(onnx.load(fp32, load_external_data=False))
    quant_pre_process(fp32, inferred, skip_optimization=True, skip_symbolic_shape=True)
    graph = onnx.load(inferred, load_external_data=False).graph
    quantize_static(
        inferred,
        int8,
        Feeds(graph.input[0].name, images),
        quant_format=QuantFormat.QDQ,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        nodes_to_exclude=[node.name for node in graph.node if _must_stay_float(node)],
        calibrate_method=CalibrationMethod.MinMax,
    )


def _must_stay_float(node: onnx.NodeProto) -> bool:
    """Whether it is a grouped transposed convolution with a bias: the quantiser takes the channels of one group for
    all, and the bias doesn't fit. The CPU kernels compute it in float anyway.
    """
    groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
    return node.op_type == "ConvTranspose" and groups > 1 and len(node.input) == 3
