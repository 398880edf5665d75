"""Images per second of a training on JPEG files, against the same images decoded in memory, timed in one run.

2,000 JPEGs of 500×375 are cut out of scikit-image's photographs; networks for 224 train on them by edgekd's engine. All
loops train in the same way, views included, and differ only in where decoded images come from; they take turns:

- in memory: all decoded before;
- first epoch: every image decoded from its file, and kept on disk;
- later epochs: every image read from where the first epoch kept it;
- nothing: the same batch again and again, which is what the network alone reaches.

    pip install scikit-image
    python tools/bench/photos.py --models torchvision:mobilenet_v3_small torchvision:resnet18
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from edgekd.data import decoding, folder_images, pictures
from edgekd.data.dataset import Dataset, View
from edgekd.data.load import load_dataset
from edgekd.data.views import in_batches
from edgekd.training.device import on_threads, place_images
from edgekd.training.execution import choose_execution
from edgekd.training.objective import build_objective
from edgekd.training.setup import Setup
from edgekd.training.step import Batch, Learner, learner, run_step
from edgekd.values import Training
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.training import Execution
from edgekd.zoo.build import build

PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field")
LOOPS = ("in memory", "first epoch", "later epochs", "nothing")
Decoded = dict[Path, pictures.Picture]


class Rate(NamedTuple):
    """Images a second, and images a second of the processors' time, which hardly depends on others' work."""

    elapsed: float
    busy: float


def make_photos(folder: Path, count: int) -> None:
    """JPEGs of 500×375, cut out of each photograph at random: a folder for each."""
    from skimage import data

    random = np.random.default_rng(0)
    sources = {name: Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS}
    for number in range(count):
        name = PHOTOGRAPHS[number % len(PHOTOGRAPHS)]
        source = sources[name]
        width = int(random.uniform(0.5, 1) * min(source.width, source.height * 4 / 3))
        height = width * 3 // 4
        left, top = random.integers(source.width - width + 1), random.integers(source.height - height + 1)
        photo = source.resize((500, 375), Image.Resampling.BICUBIC, (left, top, left + width, top + height))
        path = folder / name / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        photo.save(path, quality=90)


def decode_all(data: Dataset) -> Decoded:
    """All training images as training wants them; the cache keeps them too."""
    assert isinstance(data.train, folder_images.FolderImages)
    how = folder_images.training(data.preprocessing, data.augmentation.crop[0])
    paths, start = data.train.paths, time.perf_counter()
    order = in_batches(np.arange(len(paths)), 64)
    pixels = [image for some in decoding.decoded(paths, how, order) for image in some]
    speed = len(paths) / (time.perf_counter() - start)
    size = sum(image.nbytes for image in pixels) / len(paths) / 1e6
    print(
        f"{len(paths):,} training images, {size:.2f} MB each decoded; decoding and keeping them alone: {speed:,.0f}/s"
    )
    return dict(zip(paths, pixels, strict=True))


@contextmanager
def pixels_from(loop: str, warm: Path, pixels: Decoded) -> Iterator[None]:
    """Within this context decoded images come from there."""
    reading = decoding._read
    with tempfile.TemporaryDirectory() as fresh:
        os.environ["EDGEKD_CACHE"] = fresh if loop == "first epoch" else str(warm)
        if loop == "in memory":
            decoding._read = lambda path, *_: pixels[path]
        try:
            yield
        finally:
            decoding._read = reading


def rate(student: Learner, batches: Iterator[tuple[Tensor, Tensor]], steps: int) -> Rate:
    """Over so many steps, the wait for the first batch included."""
    images, start, busy = 0, time.perf_counter(), time.process_time()
    for some, labels in islice(batches, steps):
        run_step(student, Batch(place_images(some, student.execution, student.device), labels), rate=0.1)
        images += len(some)
    return Rate(images / (time.perf_counter() - start), images / (time.process_time() - busy))


def measure(model: str, data: Dataset, pixels: Decoded, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    network = build(model, classes=len(data.classes), channels=3)
    settings = Training(batch_size=options.batch_size, compiled=False)
    images, labels = next(iter(data.val.batches(options.batch_size)))
    objective = build_objective(LABELS_ALONE, network, None, images[:2])
    if options.threads:
        execution = Execution(precision=options.precision, memory_format="channels_last", threads=options.threads)
    else:
        execution = choose_execution(Setup(network, objective, data, settings, 0))
    student = learner(network.train(), objective, settings, execution)
    rates: dict[str, list[Rate]] = {loop: [] for loop in LOOPS}
    for turn in range(options.rounds + 1):
        for loop in LOOPS:
            with pixels_from(loop, options.warm, pixels), on_threads(execution.threads):
                seen = data.train.batches(options.batch_size, View(data.augmentation, 0, turn))
                speed = rate(student, repeat((images, labels)) if loop == "nothing" else seen, options.steps)
            if turn:  # the one before is warm-up
                rates[loop].append(speed)
    report(f"{model}, batches of {options.batch_size}, {execution.precision}, {execution.threads} threads", rates)


def report(what: str, rates: dict[str, list[Rate]]) -> None:
    print(f"\n{what}; medians of {len(rates['nothing'])} turns, each ÷ the turn in memory beside it (least to most)\n")
    print("| pixels from | images/s | ÷ in memory | images per CPU second | ÷ in memory |\n|---|--:|--:|--:|--:|")
    elapsed, busy = ({loop: [rate[i] for rate in measured] for loop, measured in rates.items()} for i in (0, 1))
    for loop in rates:
        columns = [
            f"{statistics.median(speeds[loop]):,.1f} | {median:.2f} ({least:.2f} to {most:.2f})"
            for speeds in (elapsed, busy)
            for median, least, most in [of_memory(speeds, loop)]
        ]
        print(f"| {loop} | {' | '.join(columns)} |")
    for name, speeds in (("images/s", elapsed), ("images per CPU second", busy)):
        first, later = (of_memory(speeds, loop)[0] for loop in ("first epoch", "later epochs"))
        whole = (f"{n}: {n / (1 / first + (n - 1) / later):.2f}" for n in (1, 2, 5, 10, 20))
        print(f"\n{name} ÷ in memory over a training of so many epochs: {', '.join(whole)}")


def of_memory(speeds: dict[str, list[float]], loop: str) -> tuple[float, float, float]:
    """Median, least and most of the ratios to the loop in memory, turn by turn."""
    ratios = [ours / memory for ours, memory in zip(speeds[loop], speeds["in memory"], strict=True)]
    return statistics.median(ratios), min(ratios), max(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["torchvision:mobilenet_v3_small", "torchvision:resnet18"])
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="of each turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loop")
    parser.add_argument("--threads", type=int, help="don't time the ways of training: take this many threads")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16", help="with --threads")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} at the beginning")
    with tempfile.TemporaryDirectory() as work:
        photos, options.warm = Path(work, "photos"), Path(work, "cache")
        photos.mkdir()
        make_photos(photos, options.images)
        os.environ["EDGEKD_CACHE"] = str(options.warm)
        data = load_dataset(f"folder:{photos}")
        pixels = decode_all(data)
        for model in options.models:
            measure(model, data, pixels, options)


if __name__ == "__main__":
    main()
