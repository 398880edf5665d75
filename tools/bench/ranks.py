"""Images per second of two processes that train together under torchrun, against one, each with one thread.

Both distil a ResNet on Fashion-MNIST with the same global batch, through the engine; they take turns, and the median
of the rounds' ratios counts.

    python tools/bench/ranks.py --model resnet32
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from edgekd.data.dataset import View
from edgekd.data.load import load_dataset
from edgekd.training import ranks
from edgekd.training.device import place_images
from edgekd.training.objective import build_objective
from edgekd.training.step import Batch, learner, run_step
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.training import Execution
from edgekd.zoo.build import build


def train(options: argparse.Namespace) -> None:
    """Train some steps as one of torchrun's processes; the first one prints the images a second of all."""
    torch.set_num_threads(1)
    data = load_dataset("fashion-mnist", root=options.data_root)
    settings = Training(batch_size=options.batch_size)
    with ranks.joined():
        torch.manual_seed(0)
        model = build(options.model, classes=len(data.classes), channels=data.train.shape[0]).train()
        objective = build_objective(LABELS_ALONE, model, None, torch.zeros(2, *data.train.shape))
        ready = learner(model, objective, settings, Execution(precision=options.precision))
        view = View(data.augmentation, 0, 1, ranks.number(), ranks.count())
        batches = data.train.batches(settings.batch_size, view)
        ready = replace(ready, loss=ranks.parallel(ready.loss))

        def steps(count: int) -> None:
            for images, labels in islice(batches, count):
                run_step(ready, Batch(place_images(images, ready.execution, ready.device), labels), rate=0.1)

        steps(3)
        start = time.perf_counter()
        steps(options.steps)
        seconds = time.perf_counter() - start
        if ranks.is_main():
            print(options.steps * settings.batch_size / seconds)


def rate(count: int, arguments: list[str]) -> float:
    """The images a second of so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "EDGEKD_BENCH_TRAINS": "1"}
    with tempfile.TemporaryFile("w+") as errors:
        command = [sys.executable, *launcher, __file__, *arguments]
        ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
        errors.seek(0)
        assert ended.returncode == 0, errors.read()
    return float(ended.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()
    if os.environ.get("EDGEKD_BENCH_TRAINS"):
        train(options)
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(options.rounds):
        for count, measured in rates.items():
            measured.append(rate(count, sys.argv[1:]))
    print(
        f"{options.model}, fashion-mnist, global batch {options.batch_size}, {options.precision}, one thread a process"
    )
    print("\n| processes | images/s, median | min | max |\n|--:|--:|--:|--:|")
    for count, measured in rates.items():
        print(f"| {count} | {statistics.median(measured):,.0f} | {min(measured):,.0f} | {max(measured):,.0f} |")
    ratios = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    print(f"\nratio, median of the rounds: {statistics.median(ratios):.2f} (goal: 1.5)")


if __name__ == "__main__":
    main()
