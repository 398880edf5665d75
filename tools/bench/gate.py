"""How often `edgekd check` is right: `python tools/bench/gate.py`, about an hour on a quiet machine for 100 of each.

Two questions, each asked many times on this machine, with real ONNX files and fresh processes every time:
a model beside itself at a margin of 5 % (a fail is false), and beside one with an extra layer at a margin of 3 %.
"""

import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import typer
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.table import Table

from edgekd import catalog
from edgekd.gate.budget import Budget
from edgekd.pipeline.check import OnDevice, check
from edgekd.progress import Silent

CHANNELS, SIZE, LAYERS = 16, 28, 14


def write_model(path: Path, layers: int, channels: int = CHANNELS, size: int = SIZE) -> Path:
    """Equal 3×3 convolutions with ReLU: one more than 14 takes 7 % more time."""
    random, nodes, weights, tensor = np.random.default_rng(0), [], [], "image"
    for i in range(layers):
        values = random.standard_normal((channels, channels, 3, 3)).astype(np.float32) / 12
        weights.append(numpy_helper.from_array(values, f"weight{i}"))
        nodes.append(helper.make_node("Conv", [tensor, f"weight{i}"], [f"conv{i}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"]))
        tensor = f"relu{i}"
    shape = [1, channels, size, size]
    image, output = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("image", tensor))
    graph = helper.make_graph(nodes, "bench", [image], [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def compare(model: Path, baseline: Path, margin: float) -> dict[str, object]:
    """One check: its status, ratio, control and seconds."""
    budget = Budget.model_validate({"name": "bench", "latency": {"max_ratio": 1 + margin}})
    on_device = OnDevice(catalog.target("x86-cpu"), time_limit_s=30)
    start = time.monotonic()
    verdict = check(model, budget, baseline=baseline, on_device=on_device, progress=Silent()).verdict
    return {
        "status": verdict.status,
        "ratio": verdict.limits[0].observed,
        "control": verdict.control and verdict.control.estimate,
        "looks": verdict.looks,
        "seconds": time.monotonic() - start,
    }


def main(count: int = 100, log: Path | None = None) -> None:
    """Ask each question `count` times, in turns; `log` stores each answer as a line of JSON, and is read to resume."""
    found: dict[str, list[dict]] = {"itself, 5 % margin": [], "an extra layer, 3 % margin": []}
    if log and log.exists():
        for line in log.read_text().splitlines():
            answer = json.loads(line)
            found[answer.pop("question")].append(answer)
    with tempfile.TemporaryDirectory() as folder:
        base = write_model(Path(folder) / "base.onnx", LAYERS)
        slower = write_model(Path(folder) / "slower.onnx", LAYERS + 1)
        cases = dict(zip(found, ((base, 0.05), (slower, 0.03)), strict=True))
        while any(len(answers) < count for answers in found.values()):
            for question, (model, margin) in cases.items():
                if len(found[question]) < count:
                    found[question].append(compare(model, base, margin))
                    if log:
                        with log.open("a") as file:
                            file.write(json.dumps({"question": question, **found[question][-1]}) + "\n")
    show(found)


def show(found: dict[str, list[dict]]) -> None:
    table = Table("beside", "asked", "pass", "fail", "inconclusive", "invalid", "ratio, median and range", "seconds")
    for question, answers in found.items():
        status = Counter(answer["status"] for answer in answers)
        ratios = [answer["ratio"] for answer in answers if answer["ratio"] is not None]
        seconds = [answer["seconds"] for answer in answers]
        spread = f"{statistics.median(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f}" if ratios else "none"
        took = f"{statistics.median(seconds):.0f}, at most {max(seconds):.0f}"
        counts = [str(status[kind]) for kind in ("pass", "fail", "inconclusive", "invalid")]
        table.add_row(question, str(len(answers)), *counts, spread, took)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
