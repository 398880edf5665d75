"""What the agent adds to an inference: `python tools/bench/agent.py`.

The same model in turns: by the agent, by a bare loop around `session.run`, and as onnxruntime_perf_test does it (one
inference to warm up, then the mean of all in a fixed time).
"""

import statistics
import sys
import tempfile
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from edgekd.devices.agent.protocol import Opening
from edgekd.devices.device import connect
from edgekd.measuring.reference import write_reference
from edgekd.measuring.statistics import percentile
from edgekd.worker import Worker

BARE = """
import json, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
shape = session.get_inputs()[0].shape
feeds = {session.get_inputs()[0].name: numpy.random.default_rng(0).standard_normal(shape).astype("float32")}
session.run(None, feeds)
for line in sys.stdin:
    samples, end = [], time.perf_counter() + json.loads(line)["seconds"]
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        session.run(None, feeds)
        samples.append((time.perf_counter_ns() - start) / 1e6)
    print(json.dumps({"samples_ms": samples}), flush=True)
"""

MEAN = (
    BARE.replace("        start = time.perf_counter_ns()\n", "")
    .replace("samples.append((time.perf_counter_ns() - start) / 1e6)", "samples.append(0)")
    .replace("samples, end =", "begun, samples, end = time.perf_counter(),")
    .replace('"samples_ms": samples', '"mean_ms": 1e3 * (time.perf_counter() - begun) / len(samples)')
)


def main(launches: int = 10, rounds: int = 20, seconds: float = 0.1) -> None:
    """Print the ratios of each way's median to the bare loop's, and how far launches differ."""
    agent_ratios, mean_ratios, self_ratios = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.onnx"
        write_reference(path)
        for _ in range(launches):
            one = launch(str(path), rounds, seconds)
            agent_ratios.append(statistics.median(one["agent"]))
            mean_ratios.append(statistics.median(one["mean"]))
            self_ratios.append(statistics.median(one["bare again"]))
    table = Table("÷ a bare loop's median", "median of launches", "range")
    for name, found in (
        ("agent, median", agent_ratios),
        ("as onnxruntime_perf_test, mean", mean_ratios),
        ("another bare loop, median", self_ratios),
    ):
        table.add_row(name, f"{statistics.median(found):.4f}", f"{min(found):.4f} to {max(found):.4f}")
    Console().print(table)


def launch(path: str, rounds: int, seconds: float) -> dict[str, list[float]]:
    """The ratios of neighbouring turns in fresh processes."""
    with (
        connect("local:").start("onnxruntime") as agent,
        Worker([sys.executable, "-c", BARE, path]) as bare,
        Worker([sys.executable, "-c", BARE, path]) as again,
        Worker([sys.executable, "-c", MEAN, path]) as mean,
    ):
        agent.load(Opening(path, {"threads": 1, "spinning": True}))
        agent.warmup(window_ms=100, max_s=2, period_s=None, first_ms=0)
        found: dict[str, list[float]] = {"agent": [], "mean": [], "bare again": []}
        for _ in range(rounds):
            request = {"seconds": seconds}
            base = percentile(bare.ask(request, 60)["samples_ms"], 50)
            timed = agent.block(seconds, period_s=None, latency_ms=0).samples_ms
            found["agent"].append(percentile(timed, 50) / base)
            found["mean"].append(mean.ask(request, 60)["mean_ms"] / base)
            found["bare again"].append(percentile(again.ask(request, 60)["samples_ms"], 50) / base)
        return found


if __name__ == "__main__":
    typer.run(main)
