"""Networks through every variant for TensorRT, as far as that goes without one: `python tools/bench/tensorrt.py`.

Each file is held to the static rules and to NVIDIA's parser and compiler (edgekd[trt-check]), and run by ONNX Runtime
as it is written, beside the network: the acceptance check of `edgekd export`. Weights are random, batch normalisations
have seen images: classes are close to each other, and SQNR alone counts. About ten minutes on two cores.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnx
import torch
import torchvision
import typer
from rich.console import Console
from rich.table import Table
from torch import nn

from edgekd import catalog
from edgekd.deploy.check import compare
from edgekd.deploy.export import OPSET, export_onnx
from edgekd.deploy.literal import literal_outputs
from edgekd.deploy.opset import ceiling, exported
from edgekd.deploy.preflight.preflight import preflight
from edgekd.deploy.preflight.rule import Destination
from edgekd.deploy.quantise.calibration import calibrate
from edgekd.deploy.writers import tensorrt
from edgekd.deploy.writers._base import Source
from edgekd.errors import UnsupportedModelError
from edgekd.zoo import networks

LIBRARY = ("mobilenet_v2", "resnet18", "mobilenet_v3_small", "efficientnet_b0", "resnet50", "regnet_y_400mf")
BUILT_IN = (
    *("mobilenet_v1:width=0.5", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0"),
    *("resnet20", "densenet_bc40", "vgg8"),
)
IMAGES, COMPARED = 32, 8
ORIN = catalog.target("jetson-orin-nano")
VERSIONS = {"TensorRT 8": "8.6.2", "TensorRT 10": "10.3.0"}
HEADINGS = ("model", "TensorRT", "precision", "opset", "bytes", "against the network", "findings", "NVIDIA's parser")


def models(names: list[str]) -> Iterator[tuple[str, nn.Module, tuple[int, ...]]]:
    """Each network with the shape of an image: of torchvision for photos, edgekd's own for 32 pixels."""
    for name in names:
        torch.manual_seed(0)
        if name.startswith("torchvision:"):
            shape: tuple[int, ...] = (3, 224, 224)
            model = torchvision.models.get_model(name.removeprefix("torchvision:"), weights=None)
        else:
            shape = (3, 32, 32)
            model = networks.untrained(networks.architecture(name, classes=10, shape=shape), 0)
        yield name, settled(model, shape), shape


def settled(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """The network whose batch normalisations have seen images, so that its values are of a trained one's size."""
    model.train()
    with torch.no_grad():
        for _ in range(4):
            model(torch.randn(8, *shape))
    return model.eval()


def files(name: str, model: nn.Module, shape: tuple[int, ...], folder: Path) -> Iterator[list[str]]:
    """A row for each version of TensorRT and each precision."""
    images = np.random.default_rng(0).standard_normal((IMAGES, *shape)).astype(np.float32)
    with torch.no_grad():
        logits = model(torch.tensor(images[:COMPARED])).numpy()
    for title, version in VERSIONS.items():
        opset = exported(ORIN, ["tensorrt"], {"tensorrt": version}, OPSET)
        most = ceiling(ORIN, "tensorrt", version)
        path = folder / f"{opset}.onnx"
        export_onnx(model, torch.zeros(1, *shape), path, opset=opset)
        calibrated = calibrate(path, lambda: images, folder)
        source = Source(path, calibrated.read(lambda: images), most, images=lambda: images)
        for precision in tensorrt.precisions:
            row = one(source, precision, folder / f"{opset}-{precision}.onnx", logits, images, version)
            yield [name, title, precision, *row]


def one(source: Source, precision: str, path: Path, logits: Any, images: Any, version: str) -> list[str]:  # noqa: PLR0917
    """Opset, bytes, parity, findings and verdict of one file."""
    try:
        written = tensorrt.write(source, precision, path)
    except UnsupportedModelError as e:
        return ["", "", f"NOT WRITTEN: {e.message}", "", ""]
    found = preflight(written, Destination(source.max_opset, ORIN.compute_capability, version))
    try:
        parity = compare(logits, literal_outputs(written, [images[:COMPARED]])[0])
        enough = parity.sqnr_db >= tensorrt.precisions[precision].tolerance.sqnr_db
        kept = f"{'' if enough else 'FAILED '}{parity.sqnr_db:.0f} dB"
    except UnsupportedModelError as e:
        kept = f"FAILED {e.message}"
    rules = ", ".join(f"{'ERROR ' if one.severity == 'error' else ''}{one.rule}" for one in found.findings)

    opset = onnx.load(written, load_external_data=False).opset_import[0].version
    status = found.parsed.status if found.parsed else "not asked"
    return [str(opset), f"{written.stat().st_size:,}", kept, rules or "none", status]


def is_bad(cell: str) -> bool:
    """Whether a cell says that a file isn't accepted."""
    return "ERROR" in cell or cell.startswith(("FAILED", "NOT WRITTEN")) or cell == "refused"


Models = Annotated[list[str] | None, typer.Option(help="Such as resnet20 or torchvision:resnet18.")]


def main(model: Models = None) -> None:
    """Print the table; exit with 1 where a file isn't accepted."""
    names = model or [*(f"torchvision:{name}" for name in LIBRARY), *BUILT_IN]
    table, bad = Table(*HEADINGS), 0
    for name, network, shape in models(names):
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            for row in files(name, network, shape, Path(folder)):
                table.add_row(*row)
                bad += any(map(is_bad, row))
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)
    Console(width=160).print(table)
    raise typer.Exit(1 if bad else 0)


if __name__ == "__main__":
    typer.run(main)
