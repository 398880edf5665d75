"""The plain reference loop that edgekd's training is compared with.

It is what tutorials write: a torchvision data set and transforms for single images, a DataLoader with two workers, fp32
in the default memory layout, the teacher (if there is one) asked in every step, and `loss.item()` after it.
"""

from collections.abc import Callable, Iterator

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

from edgekd.data.dataset import Dataset
from edgekd.data.memory_images import MemoryImages
from edgekd.values import Training


class SingleImages(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The training split as torchvision's FashionMNIST gives it: one PIL image at a time, transformed."""

    def __init__(self, data: Dataset) -> None:
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


def plain_steps(
    model: nn.Module,
    teacher: nn.Module | None,
    data: Dataset,
    settings: Training,
    rate: Callable[[int], float] | None = None,
) -> Iterator[int]:
    """Endless steps that train the model in place, at the learning rate of the settings unless `rate` gives each one's;
    each gives the images it learned from.
    """
    model.train()
    loader = DataLoader(SingleImages(data), settings.batch_size, shuffle=True, num_workers=2, drop_last=True)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(
        model.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay, nesterov=True
    )
    total = 0.0
    step = 0
    while True:
        for images, labels in loader:
            if rate is not None:
                optimizer.param_groups[0]["lr"] = rate(step)
            step += 1
            optimizer.zero_grad()
            output = model(images)
            loss = criterion(output, labels)
            if teacher is not None:
                with torch.no_grad():
                    taught = F.softmax(teacher(images) / 4, dim=1)
                soft = F.kl_div(F.log_softmax(output / 4, dim=1), taught, reduction="batchmean")
                loss = 0.1 * loss + 0.9 * 16 * soft
            loss.backward()
            optimizer.step()
            total += loss.item()
            yield len(images)
