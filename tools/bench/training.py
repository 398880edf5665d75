"""Images per second of edgekd's training against the plain reference loop, timed in one run.

All train the same network on Fashion-MNIST with the same batch size, augmentation and optimiser; they take turns,
and the median turn counts. With a teacher, edgekd is timed twice: as the first student of a teacher, which is asked
about every view, and as the second, which reads what the first one kept.

    python tools/bench/training.py --model resnet32
    python tools/bench/training.py --model resnet8 --teacher resnet32 --compiled
"""

import argparse
import copy
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from plain import plain_steps
from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.progress import Silent
from edgekd.training.cache import TeacherCache
from edgekd.training.device import on_threads, place_images
from edgekd.training.execution import choose_execution
from edgekd.training.objective import build_objective
from edgekd.training.prepare import Run, prepared
from edgekd.training.setup import Means, Setup
from edgekd.training.step import Batch, run_step
from edgekd.training.teacher_batches import TeacherBatches
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE, MOSTLY_TEACHER
from edgekd.zoo.build import build


def edgekd_steps(run: Run) -> Iterator[int]:
    """Endless steps of the engine, always of the first epoch's view; each gives the images it learned from."""
    while True:
        taught = TeacherBatches(run, 1)
        view = run.view(1)
        for images, labels in run.setup.data.train.batches(run.schedule.batch_size, view):
            placed = place_images(images, run.learner.execution, run.learner.device)
            run_step(run.learner, Batch(placed, labels, taught(placed)), run.schedule.peak)
            yield len(images)


def students(
    model: nn.Module, teacher: nn.Module | None, data: Dataset, settings: Training, folder: Path
) -> dict[str, Run]:
    """What the engine's loops train, by the loop's name."""
    images, _ = next(iter(data.val.batches(2)))
    losses = LABELS_ALONE if teacher is None else MOSTLY_TEACHER
    objective = build_objective(losses, model, teacher, images)
    setup = Setup(model, objective, data, settings, 0, teacher)
    execution = choose_execution(setup)

    def run(cache: TeacherCache | None = None) -> Run:
        own = replace(setup, model=copy.deepcopy(model))
        ready = replace(prepared(own, execution, Means(folder / "unused", Silent())), cache=cache)
        ready.learner.model.train()
        return ready

    if teacher is None:
        return {"edgekd": run()}
    cache = TeacherCache(folder)
    # what the first student would have kept of this epoch: that it is random doesn't change the time of reading it
    cache.write(1, torch.randn(len(data.train), len(data.classes)))
    return {"edgekd, first student": run(), "edgekd, second student": run(cache)}


def rate(steps: Iterator[int], count: int, threads: int | None) -> float:
    with on_threads(threads):
        start = time.perf_counter()
        images = sum(islice(steps, count))
        return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--teacher", help="a second network that teaches the first")
    parser.add_argument("--compiled", action="store_true", help="as trainings of minutes are where that is faster")
    parser.add_argument(
        "--steps",
        type=int,
        default=40,
        help="steps of each turn: the plain loop begins with four batches made in others' turns",
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loop")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()

    data = load_dataset("fashion-mnist", root=options.data_root)
    # what a training of minutes finds out for itself
    settings = Training(batch_size=options.batch_size, learning_rate=0.1, compiled=options.compiled)
    torch.manual_seed(0)
    shape = {"classes": len(data.classes), "channels": data.train.shape[0]}
    model = build(options.model, **shape)
    teacher = build(options.teacher, **shape).eval() if options.teacher else None
    with tempfile.TemporaryDirectory() as folder:
        runs = students(model, teacher, data, settings, Path(folder))
        loops: dict[str, tuple[Iterator[int], int | None]] = {
            "plain loop": (plain_steps(copy.deepcopy(model), teacher, data, settings), None)
        }
        loops |= {name: (edgekd_steps(run), run.learner.execution.threads) for name, run in runs.items()}
        for steps, threads in loops.values():
            # starts the workers, and has the kernels chosen
            rate(steps, 3, threads)
        rates: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(options.rounds):
            for name, (steps, threads) in loops.items():
                rates[name].append(rate(steps, options.steps, threads))

    execution = next(iter(runs.values())).learner.execution
    learns = f"{options.model} taught by {options.teacher}" if teacher else options.model
    print(f"{learns}, {data.name}, batch {options.batch_size}, {torch.get_num_threads()} threads by default")
    print(
        f"edgekd runs in {execution.precision}, {execution.memory_format}, on {execution.threads} threads"
        f"{', compiled' if execution.compiled else ''}; timed were"
    )
    print(", ".join(f"{name}: {speed:,.0f}" for name, speed in execution.images_per_second.items()))
    print("\n| loop | images/s, median | min | max | times the plain loop |\n|---|--:|--:|--:|--:|")
    for name, measured in rates.items():
        ratio = statistics.median(ours / plain for plain, ours in zip(rates["plain loop"], measured, strict=True))
        spread = f"{statistics.median(measured):,.0f} | {min(measured):,.0f} | {max(measured):,.0f}"
        print(f"| {name} | {spread} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
