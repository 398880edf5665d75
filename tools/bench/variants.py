"""The file that `edgekd export --calibrate` chooses beside the best that others' defaults give:
`python tools/bench/variants.py`, about an hour on two quiet cores for six models at one and at two threads.

The others: ONNX Runtime fp32, its `quantize_static` with its own defaults and with unsigned activations, OpenVINO fp32
and bf16, and NNCF's INT8 in OpenVINO with and without bf16. All are timed in turns in this process; a figure is the
median of paired ratios.
Weights are random, since they don't decide the time; batch normalisations have seen images.
"""

import json
import logging
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
import typer
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from rich.console import Console
from rich.table import Table

from edgekd import catalog
from edgekd.deploy.export import export_onnx
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Variant
from edgekd.values.deployment import Setting
from edgekd.values.exported import Exports
from edgekd.variants import complete

MODELS = ("mobilenet_v2", "resnet18", "mobilenet_v3_small", "efficientnet_b0", "resnet50", "regnet_y_400mf")
SIZE, IMAGES = 224, 256
ROUNDS, BLOCK_SECONDS = 40, 0.03
SPINNING_SECONDS = 0.1
BOUND = "onnxruntime"


@dataclass(frozen=True)
class Way:
    """A file and how it is opened."""

    name: str
    path: Path
    variant: Variant

    def opened(self, image: np.ndarray) -> Callable[[], Any]:
        """One inference on the image."""
        session = catalog.load(RUNTIMES, self.variant.runtime).open(str(self.path), **complete(self.variant))
        (given,) = session.inputs()
        feeds = {given["name"]: image}
        return lambda: session.run(feeds)


def exported(model: str, folder: Path) -> Path:
    """The fp32 file of a torchvision model."""
    path = folder / f"{model}.onnx"
    if not path.exists():
        torch.manual_seed(0)
        network = getattr(torchvision.models, model)(weights=None).train()
        with torch.no_grad():
            for _ in range(3):
                network(torch.randn(8, 3, SIZE, SIZE))
        export_onnx(network.eval(), torch.zeros(1, 3, SIZE, SIZE), path)
    return path


class Reader(CalibrationDataReader):
    """Images one by one."""

    def __init__(self, images: np.ndarray) -> None:
        self._rest = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next one."""
        image = next(self._rest, None)
        return None if image is None else {"input": image[None]}


def others(fp32: Path, images: np.ndarray, threads: int) -> list[Way]:
    """What others' defaults give."""
    static, unsigned = fp32.with_suffix(".static.onnx"), fp32.with_suffix(".u8s8.onnx")
    if not unsigned.exists():
        prepared = fp32.with_suffix(".prepared.onnx")
        quant_pre_process(fp32, prepared)
        quantize_static(prepared, static, Reader(images))
        quantize_static(prepared, unsigned, Reader(images), activation_type=QuantType.QUInt8)
    nncf_file = fp32.with_suffix(".nncf.xml")
    if not nncf_file.exists():
        _nncf(fp32, nncf_file, images)
    ways = (
        ("ORT fp32", fp32, BOUND, "fp32"),
        ("quantize_static", static, BOUND, "int8"),
        ("quantize_static U8S8", unsigned, BOUND, "int8"),
        ("OpenVINO fp32", fp32, "openvino", "fp32"),
        ("OpenVINO bf16", fp32, "openvino", "bf16"),
        ("NNCF", nncf_file, "openvino", "int8"),
        ("NNCF + bf16", nncf_file, "openvino", "int8+bf16"),
    )
    settings: dict[str, Setting] = {"threads": threads} if threads > 1 else {}
    return [
        Way(name, path, Variant(runtime=runtime, precision=precision, settings=settings))
        for name, path, runtime, precision in ways
    ]


def _nncf(fp32: Path, path: Path, images: np.ndarray) -> None:
    """In a process of its own, without telemetry."""
    np.save(images_file := path.with_suffix(".npy"), images)
    code = (
        "import sys; sys.modules['openvino_telemetry'] = None\n"
        "import nncf, numpy, openvino\n"
        f"images = numpy.load({str(images_file)!r}, mmap_mode='r')\n"
        f"model = openvino.Core().read_model({str(fp32)!r})\n"
        "data = nncf.Dataset(list(images), lambda image: {'input': image[None]})\n"
        f"openvino.save_model(nncf.quantize(model, data), {str(path)!r}, compress_to_fp16=False)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def chosen(fp32: Path, images: np.ndarray, threads: int, bound: bool) -> tuple[Way, float]:
    """What edgekd chooses for this machine, and the seconds it took.

    Args:
        fp32: the exported file.
        images: to calibrate on.
        threads: of every variant.
        bound: whether only ONNX Runtime may run it.
    """
    folder = fp32.parent / f"{fp32.stem}-{threads}{'-bound' if bound else ''}"
    folder.mkdir(exist_ok=True)
    target, calibration = _target(folder, threads, bound), folder.parent / "images.npz"
    if not calibration.exists():
        np.savez(calibration, images=images)
    start = time.monotonic()
    command = [sys.executable, "-m", "edgekd", "export", str(fp32), "--target", str(target), "--max-drop", "100"]
    command += ["--calibrate", str(calibration), "--out", str(folder / "out"), "--json"]
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    if answer.returncode:
        raise SystemExit(f"{' '.join(command)}\n{answer.stderr}")
    seconds = time.monotonic() - start
    exports = Exports.model_validate_json(answer.stdout)
    choice = exports.calibrated and exports.calibrated.choice
    if not choice:
        raise SystemExit(f"nothing was chosen: {answer.stdout}")
    artifact = next(one.artifact for one in exports.exported if one.artifact.name == choice.artifact)
    return Way(artifact.variant.name, folder / "out" / artifact.files[0].path, artifact.variant), seconds


def _target(folder: Path, threads: int, bound: bool) -> Path:
    """x86-cpu with that many threads in every variant."""
    known = catalog.target("x86-cpu")
    settings = f"settings = {{threads = {threads}}}\n" if threads > 1 else ""
    lines = ['name = "bench"\ntitle = "this machine"\narch = "x86_64"\n']
    variants = [v for v in known.variants if not bound or v.runtime == BOUND]
    for header, variant in (("[reference]", known.reference), *(("[[variants]]", v) for v in variants)):
        lines.append(f'{header}\nruntime = "{variant.runtime}"\nprecision = "{variant.precision}"\n{settings}')
    path = folder / "target.toml"
    path.write_text("\n".join(lines))
    return path


def timed(ways: Sequence[Way], image: np.ndarray) -> dict[str, list[float]]:
    """Milliseconds of every way in every round, the ways in turns."""
    found: dict[str, list[float]] = {way.name: [] for way in ways}
    runs, counts = {}, {}
    for way in ways:
        runs[way.name] = run = way.opened(image)
        for _ in range(10):
            start = time.perf_counter()
            run()
            took = time.perf_counter() - start
        counts[way.name] = max(1, int(BLOCK_SECONDS / took))
    for number in range(ROUNDS):
        for way in ways if number % 2 else reversed(ways):
            run, count = runs[way.name], counts[way.name]
            run()
            start = time.perf_counter()
            for _ in range(count):
                run()
            found[way.name].append((time.perf_counter() - start) / count * 1e3)
            if way.variant.settings:  # ONNX Runtime's threads spin for some 40 ms, and would slow what comes next
                time.sleep(SPINNING_SECONDS)
    return found


def ratio(ms: dict[str, list[float]], of: str, to: str) -> float:
    """The median of paired ratios."""
    return statistics.median(a / b for a, b in zip(ms[of], ms[to], strict=True))


def main(
    models: str = ",".join(MODELS), threads: str = "1,2", folder: Path = Path("variants"), log: Path | None = None
) -> None:
    """Print the table; files are kept in `folder`, and found there again."""
    logging.disable(logging.WARNING)
    folder.mkdir(exist_ok=True)
    images = np.random.default_rng(0).normal(size=(IMAGES, 3, SIZE, SIZE)).astype(np.float32)
    columns = ("model", "threads", "edgekd chose", "÷ best of others", "which", "ONNX Runtime alone", "÷ its best", "s")
    table, free, bound = Table(*columns), [], []
    for model in models.split(","):
        fp32 = exported(model, folder.absolute())
        for count in map(int, threads.split(",")):
            beside = others(fp32, images, count)
            found, seconds = chosen(fp32, images, count, bound=False)
            alone, _ = chosen(fp32, images, count, bound=True)
            ours = [replace(found, name=f"edgekd: {found.name}"), replace(alone, name=f"edgekd alone: {alone.name}")]
            ms = timed([*beside, *ours], images[:1])
            medians = {name: statistics.median(values) for name, values in ms.items()}
            best = min((way.name for way in beside), key=medians.__getitem__)
            best_alone = min((way.name for way in beside if way.variant.runtime == BOUND), key=medians.__getitem__)
            free.append(ratio(ms, ours[0].name, best))
            bound.append(ratio(ms, ours[1].name, best_alone))
            row = (model, str(count), found.name, f"{free[-1]:.3f}", best, alone.name, f"{bound[-1]:.3f}")
            table.add_row(*row, f"{seconds:.0f}")
            Console().print(*row, f"{seconds:.0f} s")
            if log:
                with log.open("a") as file:
                    file.write(json.dumps({"model": model, "threads": count, "ms": medians, "row": row}) + "\n")
    table.add_row("geometric mean", "", "", f"{_mean(free):.3f}", "", "", f"{_mean(bound):.3f}")
    table.add_row("worst", "", "", f"{max(free):.3f}", "", "", f"{max(bound):.3f}")
    Console().print(table)


def _mean(ratios: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


if __name__ == "__main__":
    typer.run(main)
