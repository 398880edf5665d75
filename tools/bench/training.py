"""Images per second of edgekd's training step against the plain reference loop, both timed in one run.

The plain loop is what tutorials write: a torchvision data set and transforms for single images, a DataLoader with two
workers, fp32 in the default memory layout, and `loss.item()` after every step. Both train the same network on
Fashion-MNIST with the same batch size, augmentation and optimiser; they take turns, and the median turn counts.

    python tools/bench/training.py --model resnet32 --steps 20
"""

import argparse
import copy
import statistics
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from edgekd.data.dataset import Dataset as EdgekdDataset
from edgekd.data.dataset import View
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.distill.execution import choose_execution
from edgekd.distill.losses.ce import CrossEntropy
from edgekd.distill.step import Learner, on_threads, place, run_step, sgd, training_device
from edgekd.results import Execution
from edgekd.schema import Training
from edgekd.zoo.build import build

GOAL = 2.0


class SingleImages(Dataset[tuple[Tensor, int]]):
    """The training split as torchvision's FashionMNIST gives it: one PIL image at a time, transformed."""

    def __init__(self, data: EdgekdDataset) -> None:
        assert isinstance(data.train, MemoryImages)
        _, height, width = data.train.shape
        self.pixels, self.labels = data.train.pixels, data.train.labels
        flip = [transforms.RandomHorizontalFlip()] if data.augmentation.flip else []
        crop = transforms.RandomCrop((height, width), padding=data.augmentation.pad)
        self.transform = transforms.Compose(
            [crop, *flip, transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index].squeeze())), int(self.labels[index])


def plain_steps(model: nn.Module, data: EdgekdDataset, settings: Training) -> Iterator[int]:
    """Endless steps of the plain loop; each gives the images it learned from."""
    model = copy.deepcopy(model).train()
    loader = DataLoader(SingleImages(data), settings.batch_size, shuffle=True, num_workers=2, drop_last=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay, nesterov=True
    )
    total = 0.0
    while True:
        for images, labels in loader:
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
            yield len(images)


def edgekd_steps(model: nn.Module, data: EdgekdDataset, settings: Training, execution: Execution) -> Iterator[int]:
    """Endless steps of the engine; each gives the images it learned from."""
    device = training_device()
    model = place(copy.deepcopy(model), execution, device).train()
    learner = Learner(model, None, CrossEntropy(), sgd(model, settings), execution, device)
    epoch = 0
    while True:
        epoch += 1
        for images, labels in data.train.batches(settings.batch_size, View(data.augmentation, 0, epoch)):
            run_step(learner, images, labels)
            yield len(images)


def rate(steps: Iterator[int], count: int, threads: int | None) -> float:
    with on_threads(threads):
        start = time.perf_counter()
        images = sum(islice(steps, count))
        return images / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet32")
    parser.add_argument("--steps", type=int, default=10, help="steps of each turn")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loop")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--data-root", type=Path)
    options = parser.parse_args()

    data = load_dataset("fashion-mnist", root=options.data_root)
    settings = Training(batch_size=options.batch_size)
    torch.manual_seed(0)
    model = build(options.model, classes=len(data.classes), channels=data.train.shape[0])
    execution = choose_execution(model, data, settings, CrossEntropy())
    loops = {
        "plain loop": (plain_steps(model, data, settings), None),
        "edgekd": (edgekd_steps(model, data, settings, execution), execution.threads),
    }
    for steps, threads in loops.values():
        # starts the workers, and has the kernels chosen
        rate(steps, 3, threads)
    rates: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(options.rounds):
        for name, (steps, threads) in loops.items():
            rates[name].append(rate(steps, options.steps, threads))

    print(f"{options.model}, {data.name}, batch {options.batch_size}, {torch.get_num_threads()} threads by default")
    print(
        f"edgekd runs in {execution.precision}, {execution.memory_format}, on {execution.threads} threads; timed were"
    )
    print(", ".join(f"{name}: {speed:,.0f}" for name, speed in execution.images_per_second.items()))
    print("\n| loop | images/s, median | min | max |\n|---|--:|--:|--:|")
    for name, measured in rates.items():
        print(f"| {name} | {statistics.median(measured):,.0f} | {min(measured):,.0f} | {max(measured):,.0f} |")
    ratios = [ours / plain for plain, ours in zip(*rates.values(), strict=True)]
    print(f"\nratio, median of the rounds: {statistics.median(ratios):.2f} (goal: {GOAL:.0f})")


if __name__ == "__main__":
    main()
