"""The process that runs ONNX Runtime's tools for phones: `python -m edgekd.deploy.mobile.worker`.

They print, write beside the file that they get, and name the folders of this machine in what they write.
"""

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import onnxruntime

from edgekd.devices.agent.host import requests

_PROVIDER = "NNAPI"


def main() -> None:
    """Answer the one request on stdin."""
    # the tools import PyTorch wherever it is installed, which takes seconds, and need it for nothing here
    sys.modules["torch"] = None  # type: ignore[assignment]
    # what else prints goes to stderr, so that it can't garble the answer
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        asked = json.loads(next(requests()))
        try:
            answer = converted(Path(asked["path"]), Path(asked["folder"]))
        # the tools raise whatever ONNX Runtime and ONNX raise for a model that is new to them
        except Exception as e:
            answer = {"error": f"{type(e).__name__}: {e}"}
        answers.write(json.dumps(answer) + "\n")


def converted(path: Path, folder: Path) -> dict[str, Any]:
    """Write `path` to the folder as the app takes it; what was written, and what NNAPI would run of it.

    Args:
        path: the ONNX file; it isn't changed.
        folder: empty.
    """
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    convert_onnx_models_to_ort(
        path,
        output_dir=folder,
        optimization_styles=[OptimizationStyle.Fixed],
        enable_type_reduction=True,
        target_platform="arm",
    )
    config = next(folder.glob("*.config"))
    _without_folders(config, f"{path.stem}.ort")
    report = folder / f"{path.stem}.mobile.txt"
    report.write_text(_usability(path), encoding="utf-8")
    return {
        "ort": f"{path.stem}.ort",
        "config": config.name,
        "report": report.name,
        "made_by": f"onnxruntime {onnxruntime.__version__}",
        "accelerators": [_accelerator(path)],
    }


def _without_folders(config: Path, model: str) -> None:
    kept = [line for line in config.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    config.write_text("\n".join([f"# Generated from {model}", *kept, ""]), encoding="utf-8")


def _usability(path: Path) -> str:
    """What ONNX Runtime's usability checker says."""
    from onnxruntime.tools.mobile_helpers import usability_checker

    said: list[str] = []
    logger = logging.getLogger("edgekd.mobile")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    usability_checker.analyze_model(path, skip_optimize=False, logger=logger)
    return "\n".join(said).replace(str(path.parent) + os.sep, "") + "\n"


def _accelerator(path: Path) -> dict[str, Any]:
    from onnxruntime.tools.mobile_helpers import usability_checker
    from onnxruntime.tools.onnx_model_utils import ModelProtoWithShapeInfo, optimize_model

    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        simplified = Path(folder) / path.name
        optimize_model(path, simplified, use_external_initializers=True)
        model = ModelProtoWithShapeInfo(simplified).model_with_shape_info
    found = usability_checker.check_nnapi_partitions(model, True)
    return {
        "provider": _PROVIDER,
        "suits": found.suitability().name.lower(),
        "nodes": found.num_nodes,
        "supported": found.num_supported_nodes,
        "partitions": found.num_partitions,
        "unsupported": sorted(found.unsupported_ops),
    }


if __name__ == "__main__":
    main()
