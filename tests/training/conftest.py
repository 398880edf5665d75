from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.progress import Silent
from edgekd.zoo.build import build


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """These batches are too small to share, and threads that wait for each other crawl on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="session")
def few_digits(digits: Dataset) -> Dataset:
    train = digits.train
    assert isinstance(train, MemoryImages)
    return replace(digits, train=replace(train, pixels=train.pixels[:200], labels=train.labels[:200]))


@pytest.fixture
def resnet8() -> nn.Module:
    torch.manual_seed(0)
    return build("resnet8", classes=10, channels=1)


class Listener(Silent):
    """Remembers what it is told, and presses Ctrl-C when `stop_at` images are done."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.advances: list[tuple[int, int, str]] = []
        self.notes: list[str] = []

    def advance(self, done: int, total: int, detail: str = "") -> None:
        self.advances.append((done, total, detail))
        if self.stop_at is not None and done >= self.stop_at:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def listener() -> type[Listener]:
    return Listener
