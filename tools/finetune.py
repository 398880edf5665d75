"""Trains torchvision's resnet18 on a folder of photographs without edgekd, as users do: with ImageNet's normalisation.

    python tools/finetune.py photos resnet18.pt --epochs 4

It stands for the model that a user brings. It leaves every fifth photograph out, and prints the accuracy there.
"""

import argparse
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader, Subset
from torchvision import transforms as T
from torchvision.datasets import ImageFolder

NORMALISED = T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def finetune(photos: Path, *, epochs: int, size: int = 224, seed: int = 0) -> tuple[dict[str, torch.Tensor], float]:
    """The weights of a resnet18, and its accuracy on every fifth photograph."""
    torch.manual_seed(seed)
    varied = T.Compose([T.RandomResizedCrop(size, scale=(0.5, 1)), T.ToTensor(), NORMALISED])
    plain = T.Compose([T.Resize(size * 256 // 224), T.CenterCrop(size), T.ToTensor(), NORMALISED])
    learned, shown = ImageFolder(photos, varied), ImageFolder(photos, plain)
    training = Subset(learned, [i for i in range(len(learned)) if i % 5])
    model = torchvision.models.resnet18(num_classes=len(learned.classes))
    optimizer = torch.optim.SGD(model.parameters(), 0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)
    batches = DataLoader(training, 16, shuffle=True, drop_last=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=epochs * len(batches))
    for _ in range(epochs):
        model.train()
        for images, labels in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
            schedule.step()
    return model.eval().state_dict(), _accuracy(model, Subset(shown, range(0, len(shown), 5)))


@torch.inference_mode()
def _accuracy(model: nn.Module, images: Subset) -> float:
    correct = [(model(x).argmax(1) == y).float().mean().item() * len(y) for x, y in DataLoader(images, 32)]
    return sum(correct) / len(images)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    asked = parser.parse_args()
    weights, accuracy = finetune(asked.photos, epochs=asked.epochs, size=asked.size)
    torch.save(weights, asked.weights)
    print(f"{accuracy:.2%} of every fifth photograph right; weights in {asked.weights}")
