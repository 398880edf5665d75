"""The process that quantises by NNCF: `python -m edgekd.deploy.nncf.worker`.

NNCF reports its use over the network, prints, replaces the class of all loggers, and replaces functions of PyTorch
where that can be imported. It can do none of that to the process that asks.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgekd.deploy.quantise.layers import weights
from edgekd.devices.agent.host import requests

_HIDDEN = (
    "openvino_telemetry",  # sends statistics of use, and keeps the user's identity in the home directory
    "torch",  # not needed for ONNX files, and slow to import
)


def main() -> None:
    """Answer the one request on stdin."""
    # what else prints goes to stderr, so that it can't garble the answer
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        asked = json.loads(next(requests()))
        try:
            # its progress bars would be taken for the reason if it crashed
            with contextlib.redirect_stdout(io.StringIO()):
                quantise(Path(asked["graph"]), Path(asked["images"]), Path(asked["path"]), asked["layers"])
            answer = {}
        # NNCF, ONNX and ONNX Runtime raise whatever they run into in a graph that is new to them
        except Exception as e:
            answer = {"error": " ".join(f"{type(e).__name__}: {e}".split())[:400]}
        answers.write(json.dumps(answer) + "\n")


def quantise(graph: Path, images: Path, path: Path, layers: list[str] | None = None) -> None:
    """Write the INT8 file of an fp32 one.

    Args:
        graph: the ONNX file.
        images: an array (N, …) of what it is fed, in NumPy's format.
        path: what to write.
        layers: the weights of the layers in integers; None: all that NNCF chooses.
    """
    nncf, model = library(), onnx.load(graph)
    floats = [] if layers is None else [one.node for one in weights(model.graph) if one.name not in layers]
    for number in floats:
        model.graph.node[number].name = model.graph.node[number].name or f"node_{number}"
    names = [model.graph.node[number].name for number in floats]
    given = np.load(images, mmap_mode="r")
    name = model.graph.input[0].name
    quantised = nncf.quantize(
        model,
        nncf.Dataset(given, lambda image: {name: np.array(image[None])}),
        target_device=nncf.TargetDevice.CPU,
        subset_size=len(given),
        ignored_scope=nncf.IgnoredScope(names=names),
        advanced_parameters=_parameters(),
    )
    onnx.save(quantised, path)


def _parameters() -> Any:
    """Ranges are the extremes over all images, one for each tensor, and biases stay.

    NNCF's defaults give files that are no faster and further from the network: of a MobileNetV1 on Fashion-MNIST they
    keep 20 dB and 98.4 % of the classes, these 33 dB and 99.4 %. Its ranges by channel, for depthwise convolutions, and
    its bias correction fit the calibration images alone.
    """
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, QuantizationParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    return AdvancedQuantizationParameters(
        disable_bias_correction=True,
        activations_quantization_params=QuantizationParameters(per_channel=False),
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
    )


def library() -> Any:
    """NNCF, which finds no module that would report its use."""
    sys.modules.update(dict.fromkeys(_HIDDEN))  # type: ignore[arg-type]  # None makes a module not importable
    import nncf

    nncf.disable_logging()
    return nncf


if __name__ == "__main__":
    main()
